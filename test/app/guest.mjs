// Journeys 10 and 11: invited by a link that is shared, somebody without an account is let in, once, and
// out again when the invitation is withdrawn; in the LAN, behind a carrier, and by IPv6 the page says
// what that means.
import assert from 'node:assert/strict'
import { journey, laptop, phone, place, see, settle, signIn, tapTwice } from './harness.mjs'

await journey(async (world, browsers) => {
  const { id: service } = await world.addProxied('album')
  await world.letIn()
  // This one keeps the doorstep open while the others are used up, or over.
  const kept = await world.call('POST', '/invitations', { service, uses: 5, for: '20m' })
  const album = `https://album.${new URL(kept.link).host.replace(/^doorstep\./, '')}/`
  const answers = '"host":"album.home.test:9999"'

  // Marc invites, by a phone that can share.
  const context = await browsers.new(phone)
  await context.addInitScript(() => {
    navigator.share = async (what) => void (window.shared = what)
  })
  const page = await context.newPage()
  await page.goto('/')
  await signIn(page)
  await place(page, 'Invite')
  await page.getByRole('button', { name: 'Invite', exact: true }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Service', { exact: true }).selectOption('album')
  await dialog.getByLabel('Message').fill('The pictures of Sunday')
  await tapTwice(dialog.getByRole('button', { name: 'Create invitation' }))
  await see(dialog, 'This link is shown only now. Whoever has it can use it.')
  await dialog.getByRole('button', { name: 'Share…' }).click()
  const { url: link } = await page.evaluate(() => window.shared)
  await see(dialog, link)
  assert.match(link, /^https:\/\/doorstep\.home\.test:9999\/i\/#.{20,}$/)
  await browsers.shoot('invitation')
  await settle()
  await dialog.getByRole('button', { name: 'Done' }).click()
  await see(page, '0 of 1 use')

  // Lea has no account, and has never been here.
  const clean = await browsers.new(phone, 'client2')
  const guest = await clean.newPage()
  await guest.goto(link)
  await see(guest, `${world.name} lets you use album for 1 hour`)
  await see(guest, 'The pictures of Sunday')
  await see(guest, `For your address ${world.addresses.client2} only`)
  assert(!(await opens(clean, album)), 'it is open before the guest asks for it')
  await browsers.shoot('guest-before')
  await tapTwice(guest.getByRole('button', { name: 'Open album for 1 hour' }))
  await see(guest, 'album is open for you')
  await see(guest, 'It closes by itself at')
  await browsers.shoot('guest-after')
  assert.equal(await guest.getByRole('link', { name: 'Go to album' }).getAttribute('href'), album)
  await world.until('it is open for the guest', () => opens(clean, album))
  await guest.reload()
  await see(guest, 'album is open for you')
  await guest.getByRole('link', { name: 'Go to album' }).click()
  await see(guest, answers)
  assert.deepEqual(await clean.cookies(), [])

  // Whoever comes second is told so, and one whose link is too old, or torn.
  const other = await browsers.new(phone)
  const second = await other.newPage()
  await second.goto(link)
  await see(second, 'This link was used up.')
  await see(second, 'Ask whoever sent it for another one.')
  assert(!(await opens(other, album)), 'the second guest is let in')
  await second.goto(kept.link.replace(/#./, (start) => (start === '#A' ? '#B' : '#A')))
  await second.reload()
  await see(second, 'This link is not right. Ask for it again.')
  await second.goto(link.slice(0, -5))
  await see(second, 'This link is not complete. Ask for it again.')
  const old = await world.call('POST', '/invitations', { service })
  await second.goto(old.link)
  await second.getByRole('button', { name: /^Open album for/ }).waitFor()
  await world.do('outlive', old.id)
  await second.reload()
  await see(second, /^This link ended on .*\d{4}\.$/)
  await see(second, 'Ask whoever sent it for another one.')

  // Marc sees who came, and withdraws it: what it opened closes, the page says why.
  await page.getByRole('listitem').filter({ hasText: '1 of 1 use' }).getByRole('link', { name: 'album' }).click()
  await see(dialog, `from ${world.addresses.client2}`)
  await dialog.getByRole('button', { name: 'Revoke' }).click()
  const confirm = page.getByRole('dialog', { name: 'Revoke this invitation?' })
  await see(confirm, 'Sessions it opened are closed too.')
  await confirm.getByRole('button', { name: 'Revoke' }).click()
  await see(page, 'The invitation is withdrawn')
  await world.until('the guest is shut out', async () => !(await opens(clean, album)))
  await guest.goto(link)
  await see(guest, 'This link was withdrawn.')

  // Seen at an address that a carrier shares out to many, nobody is offered anything; elsewhere they
  // are, leave before time, and come back.
  const shared = await world.do('carrier', 'client2', 'on')
  await guest.goto(kept.link)
  await see(guest, `For your address ${shared} only`)
  await see(guest, 'Your carrier shares this address out to many')
  assert(await guest.getByRole('button', { name: 'Open album for 20 minutes' }).isDisabled())
  await browsers.shoot('guest-shared')
  await world.do('carrier', 'client2', 'off')
  await guest.goto(kept.link)
  await guest.reload()
  await see(guest, `For your address ${world.addresses.client2} only`)
  await guest.getByRole('button', { name: 'Open album for 20 minutes' }).click()
  await see(guest, 'album is open for you')
  await world.until('it is open', () => opens(clean, album))
  await settle()
  await guest.getByRole('button', { name: 'Close now' }).click()
  await see(guest, 'It is closed.')
  await world.until('it is closed for the guest', async () => !(await opens(clean, album)))
  await settle()
  await guest.getByRole('button', { name: 'Open it again' }).click()
  await see(guest, 'album is open for you')

  // By IPv6.
  const six = await browsers.new(phone, 'client1', world.resolve6)
  const new6 = await six.newPage()
  await new6.goto(kept.link)
  await see(new6, `For your address ${world.addresses6.client1} only`)
  assert(!(await opens(six, album)), 'it is open by IPv6')
  await new6.getByRole('button', { name: 'Open album for 20 minutes' }).click()
  await see(new6, 'album is open for you')
  await new6.getByRole('link', { name: 'Go to album' }).click()
  await see(new6, answers)

  // In the LAN nothing has to be opened, and no use is lost.
  const home = await browsers.new(laptop, 'lan')
  const inside = await home.newPage()
  await inside.goto(kept.link)
  await see(inside, 'You’re already inside.')
  await browsers.shoot('guest-inside')
  await inside.getByRole('link', { name: 'Go to album' }).click()
  await see(inside, answers)
  assert.equal((await world.call('GET', `/invitations/${kept.id}`)).used, 3)

  // Withdrawn or used up, all of them: the door is shut.
  await world.call('DELETE', `/invitations/${kept.id}`)
  await world.until('the doorstep is shut', async () => !(await world.reaches('stranger', 9999)))
  await world.until('all guests are out', async () => !(await opens(clean, album)))
})

/** Whether a browser gets an answer of the service behind an address. */
async function opens(context, url) {
  const page = await context.newPage()
  try {
    const answer = await page.goto(url, { timeout: 5000 })
    return answer?.status() === 200 && (await page.innerText('body')).includes('"host":')
  } catch {
    return false
  } finally {
    await page.close()
  }
}
