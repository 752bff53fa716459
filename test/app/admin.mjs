// Journey 1 without its first page, and 16: users, services with icons, grants by keyboard alone,
// a site paired and its three failures, and the audit log that shows it all.
import assert from 'node:assert/strict'
import { journey, laptop, phone, see, settle, signIn } from './harness.mjs'

/** A picture of so many bytes, which says that it is of that kind. */
const file = (name, mimeType, text) => ({ name, mimeType, buffer: Buffer.from(text) })

const hostile = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" onload="document.title='taken'">
<script>document.title='taken'</script><image href="https://evil.example/x.png"/><path d="M4 4h16v16H4z" fill="#0a6570"/></svg>`

await journey(async (world, browsers) => {
  await world.letIn()
  const context = await browsers.new(laptop)
  const page = await context.newPage()
  await page.goto('/')
  await signIn(page)
  await see(page, 'Where you are')
  const go = (name) => page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name, exact: true }).click()
  const shoot = (what) => browsers.shoot(`admin-${what}`)

  // A user, whose one-time password is shown once.
  await go('Users')
  await page.getByRole('button', { name: 'Add user' }).click()
  const sheet = page.getByRole('dialog')
  await sheet.getByLabel('User name').fill('ana')
  await sheet.getByRole('button', { name: 'Add user' }).click()
  await see(page, 'ana is added')
  const password = await sheet.getByRole('textbox', { name: 'One-time password' }).innerText()
  assert.match(password, /^([a-z2-9]{4}-){4}[a-z2-9]{4}$/)
  await shoot('user-made')
  await settle()
  await sheet.getByRole('button', { name: 'Done' }).click()
  await page.getByRole('link', { name: 'ana', exact: true }).click()
  await see(page, 'Has to choose a password')
  await shoot('users')

  // A service: the core says whether something listens at its target.
  await go('Services')
  await page.getByRole('button', { name: 'Add service' }).first().click()
  const form = page.getByRole('region', { name: 'Add a service' })
  await form.getByText('Forward', { exact: true }).click()
  await form.getByLabel('Name', { exact: true }).fill('files')
  await form.getByLabel('Find an icon').or(form.getByText('Built-in', { exact: true })).first().click()
  await form.getByLabel('Find an icon').fill('fold')
  await form.getByLabel('Folder').check({ force: true })
  await form.getByLabel('Address in the LAN', { exact: true }).fill(world.lan)
  await form.getByLabel('Port', { exact: true }).fill('1')
  await form.getByRole('button', { name: 'Check target' }).click()
  await see(page, `Refused: nothing listens on ${world.lan}:1.`)
  await form.getByLabel('Port', { exact: true }).fill('80')
  await form.getByRole('button', { name: 'Check target' }).click()
  await see(page, 'Answered in')
  await shoot('service-form')
  await form.getByRole('button', { name: 'Add service' }).click()
  await see(page, 'files is added')
  assert.equal((await world.service('files')).icon, 'folder')

  // Pictures: too large, of no kind, and hostile.
  const pane = page.getByRole('region', { name: 'files' })
  await pane.getByText('Upload', { exact: true }).click()
  const input = pane.locator('input[type=file]')
  await input.setInputFiles(file('big.png', 'image/png', 'x'.repeat(300 * 1024)))
  await see(page, 'The picture is larger than 256 KB. Choose a smaller one.')
  await input.setInputFiles(file('x.gif', 'image/gif', 'GIF89a'))
  await see(page, 'This is not a PNG, JPEG, WebP or SVG picture. Choose another.')
  await input.setInputFiles(file('hostile.svg', 'image/svg+xml', hostile))
  await see(page, 'On a dark ground')
  await shoot('icon')
  await pane.getByRole('button', { name: 'Save' }).click()
  await see(page, 'files is saved')
  const { id, icon } = await world.service('files')
  assert.match(icon, /^uploaded:/)
  await world.until('the picture is shown', () =>
    page.evaluate(() => [...document.images].some((one) => one.src.includes('/icon?v=') && one.complete && one.naturalWidth > 0)))
  const kept = await page.evaluate(async (path) => {
    const answer = await fetch(path)
    return { text: await answer.text(), policy: answer.headers.get('Content-Security-Policy') }
  }, `/api/v1/services/${id}/icon`)
  assert(!/script|onload|evil/.test(kept.text), kept.text)
  assert.match(kept.policy, /sandbox/)
  const alone = await context.newPage()
  await alone.goto(`/api/v1/services/${id}/icon`)
  assert.notEqual(await alone.title(), 'taken')
  await alone.close()
  assert(!(await page.title()).includes('taken'))

  // Grants, by keyboard alone.
  await go('Grants')
  const cell = page.getByRole('button', { name: 'ana may use files' })
  await cell.waitFor()
  assert.equal(await cell.getAttribute('aria-pressed'), 'false')
  await page.locator('[data-at="0 0"]').focus()
  for (let step = 0; !(await cell.evaluate((one) => one === document.activeElement)); step++) {
    assert(step < 20, 'the arrows do not lead to the cell')
    const [row, column] = (await cell.getAttribute('data-at')).split(' ').map(Number)
    const [atRow, atColumn] = (await page.evaluate(() => document.activeElement.dataset.at)).split(' ').map(Number)
    await page.keyboard.press(row > atRow ? 'ArrowDown' : row < atRow ? 'ArrowUp' : column > atColumn ? 'ArrowRight' : 'ArrowLeft')
  }
  await page.keyboard.press('Space')
  const grantOf = async () => (await world.call('GET', `/grants?service=${id}`)).items[0]
  await world.until('ana may use files', async () => (await grantOf()) !== undefined)
  await page.getByRole('button', { name: 'Terms: ana, files' }).waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  const terms = page.getByRole('region', { name: 'Terms: ana, files' })
  await terms.waitFor()
  await world.until('the first of the terms has the focus', () => page.evaluate(() => document.activeElement.role === 'switch' || document.activeElement.getAttribute('role') === 'switch'))
  await page.keyboard.press('Space')
  await world.until('it is automatic', async () => (await grantOf())?.automatic)
  // From where: what nobody can judge is told at the field, and nothing is kept.
  const from = terms.getByLabel('Only from')
  await from.fill('ES')
  await terms.getByRole('button', { name: 'Save the list' }).click()
  await see(terms, /nobody knows where addresses are: set policy\.geoip_database in web\.yaml/)
  assert.equal((await grantOf()).allowed_from, undefined)
  await from.fill('198.51.100.9/24 2001:db8::/32')
  await terms.getByRole('button', { name: 'Save the list' }).click()
  await world.until('it counts from there only', async () => String((await grantOf()).allowed_from) === '198.51.100.0/24,2001:db8::/32')
  await world.until('the list is shown as it is kept', async () => (await from.inputValue()) === '198.51.100.0/24, 2001:db8::/32')
  await shoot('grant-terms')
  await page.keyboard.press('Escape')
  await terms.waitFor({ state: 'hidden' })
  await shoot('grants')
  await page.getByRole('button', { name: 'All of ana' }).click()
  await page.getByRole('menuitem', { name: 'Take all away' }).click()
  await world.until('nothing is granted', async () => (await grantOf()) === undefined)
  await page.getByRole('listitem').filter({ hasText: 'is taken away' }).getByRole('button', { name: 'Undo' }).click()
  await world.until('it is granted again, as it was', async () => (await grantOf())?.automatic)
  assert.deepEqual((await grantOf()).allowed_from, ['198.51.100.0/24', '2001:db8::/32'])

  // Sites: what can go wrong with a pairing line, and pairing again with a good one.
  await go('Sites')
  await page.getByRole('button', { name: 'Check now' }).first().click()
  await see(page, 'answered in')
  await shoot('sites')
  await page.getByRole('link', { name: 'home', exact: true }).first().click()
  await page.getByRole('link', { name: 'Refused knocks' }).click()
  await page.getByRole('heading', { name: 'Refused knocks' }).waitFor()
  await page.waitForURL(/site=/)
  await see(page, /No knock was refused\.|times|Once/)
  await go('Sites')
  const code = await world.do('code')
  const pair = async (line, title = 'Pair a site') => {
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Line of the router').fill(line)
    if (title === 'Pair a site') {
      await dialog.getByLabel('Name', { exact: true }).fill('beach')
      await dialog.getByLabel('Public host name').fill('beach.example.org')
    }
    await dialog.getByRole('button', { name: title, exact: true }).click()
  }
  await page.getByRole('button', { name: 'Pair a site' }).click()
  await pair('ownline-core://nothing')
  await see(page, 'This is not a whole pairing line.')
  const other = `pin=${'A'.repeat(43)}`
  await pair(code.replace(/pin=[^&]+/, other))
  await see(page, 'The key is not the one in the code. Stop and find out why.')
  await pair(code.replace(/pin=[^&]+/, other).replace(/\/\/[^?]+/, '//127.0.0.1:1'))
  await see(page, 'Nothing answered at 127.0.0.1:1.')
  await shoot('pair')
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: /^More of/ }).first().click()
  await page.getByRole('menuitem', { name: 'Pair again' }).click()
  await pair(code.replace(/token=[^&]+/, 'token=AAAAAAAAAAAAAAAAAAAAAA'), 'Pair again')
  await see(page, 'The code was used already, or is not the newest. Run it again.')
  await pair(code, 'Pair again')
  await see(page, 'is paired')

  // The log has all of it, and filters stand in the address.
  await go('Audit log')
  for (const done of ['Added a user', 'Added a service', "Changed a service's picture", 'Gave a grant', 'Took a grant away', 'Paired a site']) await see(page, done)
  await shoot('audit')
  await page.getByLabel('What', { exact: true }).selectOption('user')
  await page.waitForURL(/action=user/)
  await page.getByText('Gave a grant').waitFor({ state: 'hidden' })
  await see(page, 'Added a user')
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export' }).click()])
  assert.match(download.suggestedFilename(), /^ownline-audit-.*\.csv$/)

  // 17: somebody who is no admin sees nothing of this.
  await world.letIn('client2')
  const small = await (await browsers.new(phone, 'client2')).newPage()
  await small.goto('/')
  await signIn(small, 'ana', password)
  await small.getByLabel('New password', { exact: true }).fill('a good long password')
  await small.keyboard.press('Enter')
  await see(small, 'Where you are')
  for (const path of ['users', 'services', 'grants', 'sites', 'audit']) {
    await small.goto(`/admin/${path}`)
    await see(small, 'This is for admins.')
  }
  assert.equal(await small.evaluate(async () => (await fetch('/api/v1/users')).status), 403)

  // What an admin makes of her shows on the page that she has open.
  await small.goto('/admin/users')
  await see(small, 'This is for admins.')
  const { items: users } = await world.call('GET', '/users')
  const change = (what) => world.call('PATCH', `/users/${users.find(({ name }) => name === 'ana').id}`, what)
  await change({ role: 'admin' })
  await small.getByRole('link', { name: 'ana' }).waitFor()
  await change({ role: 'user' })
  await see(small, 'This is for admins.')
  await change({ disabled: true })
  await see(small, 'Your account was disabled. Ask your admin.')
})
