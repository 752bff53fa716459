// Journey 10 with one invitation, which is for one use: with it the door that its guest came through is
// shut, to everybody but them. Their page stays whole: it finds the session again, closes it, and says why it ended.
import assert from 'node:assert/strict'
import { journey, phone, see } from './harness.mjs'

await journey(async (world, browsers) => {
  const { id: proxied } = await world.addProxied('attic')
  const { id: forwarded } = await world.addForward('cellar')
  const shut = async (when) => {
    await world.until(`${when}, the door is shut to others`, async () => !(await world.reaches('stranger', 9999)))
    // Connections from before are cut a moment later.
    await new Promise((resolve) => setTimeout(resolve, 4000))
  }
  const invite = async (service) => {
    const made = await world.call('POST', '/invitations', { service, for: '1h' })
    await world.until('the door is open', () => world.reaches('stranger', 9999))
    return made
  }
  const guestAt = async (host, link, name) => {
    const context = await browsers.new(phone, host)
    const page = await context.newPage()
    await page.goto(link)
    await page.getByRole('button', { name: `Open ${name} for 1 hour` }).click()
    await see(page, `${name} is open for you`)
    return page
  }

  // Let in to a name of the proxy: the guest loads the page anew, and closes the session.
  const first = await invite(proxied)
  let guest = await guestAt('client2', first.link, 'attic')
  await shut('used up')
  await guest.reload()
  await see(guest, 'attic is open for you')
  await see(guest, 'It closes by itself at')
  await browsers.shoot('single-again')
  await guest.getByRole('button', { name: 'Close now' }).click()
  await see(guest, 'It is closed.')
  await see(guest, 'This link was used up. Ask whoever sent it for another one.')
  await guest.reload()
  await see(guest, 'This link was used up.')
  assert.equal((await world.call('GET', `/invitations/${first.id}`)).used, 1)
  assert(!(await world.reaches('stranger', 9999)), 'it is open to others again')

  // Let in to a port: that alone leads nobody to the page. Withdrawn, it says so by itself.
  const second = await invite(forwarded)
  guest = await guestAt('client2', second.link, 'cellar')
  await shut('used up again')
  await guest.reload()
  await see(guest, 'cellar is open for you')
  await world.call('DELETE', `/invitations/${second.id}`)
  await see(guest, 'This link was withdrawn.')
  await guest.reload()
  await see(guest, 'This link was withdrawn.')

  // What is not of the page is not there, in the guest's language.
  const spanish = await browsers.new({ ...phone, locale: 'es-ES' }, 'client2')
  const lost = await spanish.newPage()
  await lost.goto(new URL('/', second.link).href)
  await see(lost, 'Aquí no hay nada.')
  await browsers.shoot('single-nothing')
})
