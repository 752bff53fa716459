// Journey 9: a service is automatic, and a device enrolled by the QR code that the page shows:
// the program ownline reads it, as a phone would. Its knocks show up live; a new key makes the old one
// worthless; revoked, it has nothing open any more. The router has a name with addresses of both families:
// what a knock opens by IPv4 and IPv6 is one to who looks.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { journey, laptop, place, see, settle, signIn } from './harness.mjs'

await journey(async (world, browsers) => {
  await world.call('PATCH', `/sites/${world.site}`, { host: world.host })
  const own = await world.addProxied('radio', { automatic: true })
  await world.letIn()
  // As sharp as a camera sees it.
  const page = await (await browsers.new({ ...laptop, deviceScaleFactor: 2 })).newPage()
  await page.goto('/')
  await signIn(page)
  const folder = await mkdtemp(join(tmpdir(), 'ownline-journey-'))
  const dialog = page.getByRole('dialog')
  const away = world.addresses.client2
  const away6 = /^2001:db8:2:1::/
  const live = async () => (await world.call('GET', `/sessions?state=live&all=true&service=${own.id}`)).items
  /** Waits until there is one of each family, and no more. */
  const both = () =>
    world.until('it is let in by IPv4 and IPv6', async () => {
      const sources = (await live()).map(({ source }) => source)
      return sources.length === 2 && sources.includes(`${away}/32`) && sources.some((one) => away6.test(one))
    })
  const works = new RegExp(`It works: knock from (${away}|2001:db8:2:1:[^ ]*), \\d services? open\\.`)

  /** The machine in the internet takes the code that is shown; as people do, it looks until it has it. */
  async function scan(name) {
    const path = join(folder, `${name}.png`)
    let trouble
    await world.until('the code is read', async () => {
      await dialog.getByRole('img', { name: 'QR code of the profile' }).screenshot({ path })
      trouble = await world.do('enrol', 'client2', path).catch(String)
      return !trouble
    }).catch((error) => assert.fail(`${error.message}: ${trouble}`))
  }

  // Enrolled by the code. A name may be long, and makes the code so. (No words: the journey in Spanish looks for those.)
  const tablet = `tablet ${'kitchen '.repeat(6)}upstairs`
  await place(page, 'Devices')
  await page.getByRole('button', { name: 'Add device' }).click()
  await dialog.getByLabel('Name', { exact: true }).fill(tablet)
  await dialog.getByRole('button', { name: 'Show its code' }).click()
  await see(dialog, 'Waiting for its first knock…')
  await scan('first')
  assert.deepEqual(await live(), [])
  assert(!(await world.reaches('client2', 9999)), 'it is let in before it knocks')
  await world.do('agent', 'client2', 'start')
  await see(dialog, works)
  await browsers.shoot('device-works')
  await both()
  await world.until('it is let in', () => world.reaches('client2', 9999))
  await settle()
  await dialog.getByRole('button', { name: 'Done' }).click()
  await see(page.getByRole('row', { name: tablet }), 'In use')
  await see(page.getByRole('row', { name: tablet }), new RegExp(`Last knock .* from (${away}|2001:db8:2:1:)`))

  // What the knock opened is on Home.
  await place(page, 'Home')
  const row = page.getByRole('region', { name: 'Open now' }).getByRole('listitem').filter({ hasText: 'radio' })
  await row.waitFor()
  await see(row, 'Automatic')
  await row.getByRole('link').first().click()
  for (const source of [away, '2001:db8:2:1::/64']) await see(dialog, source)
  await browsers.shoot('device-act')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  assert.equal(await row.count(), 1, 'the two sessions of a knock are not one')

  // Automatic off: what the knock opened closes. And on again: there is a device that can knock.
  await page.getByRole('button', { name: 'More of radio' }).click()
  const automatic = dialog.getByRole('switch', { name: 'Opens when this device knocks' })
  for (const on of [false, true]) {
    await automatic.click()
    await world.until(`automatic is ${on}`, async () => (await world.call('GET', `/grants?service=${own.id}`)).items[0].automatic === on)
    assert.equal(await automatic.isChecked(), on)
    if (!on) await world.until('nothing of it is open', async () => (await live()).length === 0)
  }
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })

  // A new key: the old one is worthless at once.
  await world.do('agent', 'client2', 'stop')
  await place(page, 'Devices')
  // On the smallest of phones, where the sheet is higher than the screen, the code is whole all the same.
  await page.setViewportSize({ width: 360, height: 640 })
  await page.getByRole('link', { name: tablet }).click()
  // Tested: its next knock is waited for.
  await dialog.getByRole('button', { name: 'Test it' }).click()
  await see(dialog, 'Waiting for its next knock…')
  await world.until('the device is answered', () => world.do('knock', 'client2'))
  await see(dialog, works)
  await dialog.getByRole('button', { name: 'Rotate key' }).click()
  const confirm = page.getByRole('dialog', { name: `A new key for ${tablet}?` })
  await see(confirm, 'The old key stops now. Scan the new code on the device.')
  await confirm.getByRole('button', { name: 'Rotate key' }).click()
  await see(dialog, 'Waiting for its first knock…')
  await world.until('the old key is worthless', async () => !(await world.do('knock', 'client2')))
  await see(dialog, 'Waiting for its first knock…')
  await scan('second')
  await world.do('agent', 'client2', 'start')
  await see(dialog, works)
  await settle()
  await dialog.getByRole('button', { name: 'Done' }).click()
  await page.setViewportSize(laptop.viewport)
  await both()

  // Revoked: what it opened closes, and it opens nothing again.
  await page.getByRole('link', { name: tablet }).click()
  await dialog.getByRole('button', { name: 'Revoke' }).click()
  const last = page.getByRole('dialog', { name: `Revoke ${tablet}?` })
  await see(last, 'Its sessions close at once.')
  await last.getByRole('button', { name: 'Revoke' }).click()
  await see(page, `${tablet} is revoked`)
  await world.until('its sessions are closed', async () => (await live()).length === 0)
  await world.until('it is shut out', async () => !(await world.reaches('client2', 9999)))
  await world.do('agent', 'client2', 'stop')
  assert(!(await world.do('knock', 'client2')), 'a revoked device is answered')
  await page.keyboard.press('Escape')
  await see(page.getByRole('row', { name: tablet }), 'Revoked')
  await place(page, 'Home')
  await see(page, 'Open now')
  // A row stays for a while, and says why it is over.
  await row.getByRole('button', { name: 'Close radio' }).waitFor({ state: 'hidden' })

  // So it is in history.
  const ended = (await world.call('GET', `/sessions?state=ended&service=${own.id}&all=true`)).items
  assert.equal(ended.filter(({ reason }) => reason === 'revoked').length, 4)
  await page.goto(`/history?service=${own.id}&reason=revoked`)
  const past = page.locator('main').getByRole('link', { name: 'radio', exact: true })
  await past.first().waitFor()
  await world.until('the two sessions of a knock are one in history', async () => (await past.count()) === 2)
  await past.first().click()
  for (const source of [away, '2001:db8:2:1::/64']) await see(dialog, source)
  await world.call('PATCH', `/sites/${world.site}`, { host: world.router })
  await rm(folder, { recursive: true })
})
