import assert from 'node:assert/strict'
import { authenticator, cached, journey, laptop, phone, see, signIn } from './harness.mjs'

const passphrase = 'correct horse battery'

async function enrol(page, code) {
  await page.goto('/client')
  await see(page, 'No device is enrolled in this browser.')
  await page.getByLabel('Code of the device').fill(code)
  await page.getByRole('button', { name: 'Enrol this browser' }).click()
}

async function unlock(page, text = passphrase) {
  await page.getByLabel('Passphrase', { exact: true }).fill(text)
  await page.getByRole('button', { name: 'Unlock' }).click()
}

async function knock(page) {
  await page.getByRole('button', { name: /^Knock( again)?$/ }).click()
  await page.locator('[data-state=done]', { hasText: 'Taken by the broker' }).waitFor()
}

/** Twenty seconds of asking, in none. */
async function waitInVain(page) {
  await page.clock.fastForward(21_000)
  await see(page, "The knock was sent, but Ownline can’t be reached yet.")
}

async function forget(page) {
  await page.getByRole('button', { name: 'Forget this device' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Forget this device' }).click()
  await see(page, 'No device is enrolled in this browser.')
}

await journey(async (world, browsers) => {
  await world.addProxied('photos', { automatic: true })
  const device = await world.call('POST', '/devices', { site: world.site, name: 'phone' })
  const nobodyElse = async () => assert(!(await world.reaches('stranger', 9999)), 'a stranger is let in')
  const live = async () => (await world.call('GET', '/sessions?state=live&all=true')).items

  // At home: the app is loaded, somebody signs in, and the browser is enrolled.
  await world.letIn()
  const context = await browsers.new(phone)
  await context.clock.install()
  const page = await context.newPage()
  await page.goto('/')
  await signIn(page)
  await see(page, 'Where you are')
  await cached(page)

  // A code of a different Ownline: the page may not speak to its broker, and says so at once.
  await enrol(page, device.profile.replace(encodeURIComponent('broker.test'), 'elsewhere.test'))
  await see(page, /^This code is of another Ownline, /)
  // Where the page can't look up its policy, that shows when it knocks.
  await page.evaluate(() => void (caches.match = () => Promise.reject(new Error('nothing is kept'))))
  await page.getByRole('button', { name: 'Enrol this browser' }).click()
  for (const weak of ['short', ' '.repeat(12)]) {
    await page.getByLabel('New passphrase').fill(weak)
    await page.getByRole('button', { name: 'Protect with a passphrase' }).click()
    await see(page, 'Use at least 10 characters.')
  }
  await page.getByLabel('New passphrase').fill(passphrase)
  await page.getByRole('button', { name: 'Protect with a passphrase' }).click()
  await see(page, world.addresses.client1)
  browsers.expect(/Content Security Policy directive: "connect-src /)
  await page.getByRole('button', { name: 'Knock', exact: true }).click()
  await see(page, /its code is of a different Ownline/)
  await forget(page)

  await enrol(page, device.profile)
  await page.getByLabel('New passphrase').fill(passphrase)
  await page.getByRole('button', { name: 'Protect with a passphrase' }).click()
  await see(page, world.addresses.client1)
  await browsers.shoot('knock-idle')

  // Away: Ownline is dark. The app comes from its cache, and is locked.
  await world.dark()
  await page.reload()
  await see(page, '“home” is locked.')
  await unlock(page, 'incorrect horse')
  await see(page, 'That passphrase is not right.')
  await unlock(page)
  await see(page, world.addresses.client1)
  assert.deepEqual(await live(), [])

  await knock(page)
  await see(page, 'You are in')
  await see(page, `Ownline sees you at ${world.addresses.client1}, and lets you in until`)
  await see(page, 'Open now')
  await page.getByRole('link', { name: 'Go to photos' }).waitFor()
  await browsers.shoot('knock-done')
  await nobodyElse()
  // What opened is there, in a second tab.
  const [photos] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Go to photos' }).click()])
  await see(photos, '"host":"photos.home.test:9999"')
  await photos.close()
  // And Ownline itself.
  await page.getByRole('link', { name: 'To Ownline', exact: true }).click()
  await see(page, 'Where you are')

  // The server is stopped: launched, the app is where one can knock.
  await world.dark()
  await world.stop('web')
  await page.goto('/')
  await see(page, '“home” is locked.')
  assert.equal(new URL(page.url()).pathname, '/client')
  await unlock(page)
  await page.getByLabel('Keep unlocked on this device').check()
  await see(page, world.addresses.client1)
  await knock(page)
  await waitInVain(page)
  await browsers.shoot('knock-failed')
  await world.start('web')

  // Kept unlocked, with a clock that is wrong: nothing opens, and the page says why.
  await context.clock.setSystemTime(Date.now() + 4 * 60_000)
  await page.reload()
  await see(page, world.addresses.client1)
  await knock(page)
  await waitInVain(page)
  await see(page, 'Your clock is 4 minutes off.')
  assert.deepEqual(await live(), [])
  await nobodyElse()
  await context.clock.setSystemTime(Date.now())
  await page.reload()
  await see(page, world.addresses.client1)
  await knock(page)
  await see(page, 'You are in')
  // All that is asked for then is told before the sign-in is lost.
  await see(page, 'Open now')
  await page.getByRole('link', { name: 'Go to photos' }).waitFor()

  // Nobody signed in here: what was seen last is still of use.
  await context.clearCookies()
  await knock(page)
  await see(page, 'Ownline is reachable.')
  await page.getByRole('link', { name: 'Go to photos' }).waitFor()
  await page.getByRole('link', { name: 'Sign in' }).click()
  await signIn(page)
  await see(page, 'Where you are')

  // Tested from its details, it knocks at once.
  await page.goto(`/devices/${device.id}`)
  await page.getByRole('dialog').getByRole('button', { name: 'Send a test' }).click()
  await page.locator('[data-state=done]', { hasText: 'Taken by the broker' }).waitFor()
  await see(page, 'You are in')
  assert.equal(new URL(page.url()).pathname, '/client')

  // The broker away, and one that knows the device no more.
  await page.goto('/client')
  await see(page, world.addresses.client1)
  await world.stop('broker')
  await page.getByRole('button', { name: 'Knock', exact: true }).click()
  await see(page, 'The broker can’t be reached. Try another network.')
  await world.start('broker')
  await forget(page)

  // Where there is a passkey, it is the key. Here the address is told by STUN.
  const desk = await browsers.new(laptop)
  const other = await desk.newPage()
  await authenticator(other)
  const stun = encodeURIComponent('stun:192.0.2.1:3478')
  await enrol(other, device.profile.replace(/&password=[^&]*/, '&password=wrong').replace(/&address=[^&]*/, `&address=${stun}`))
  await other.getByRole('button', { name: 'Protect with a passkey' }).click()
  await see(other, world.addresses.client1)
  await other.reload()
  await see(other, '“home” is locked.')
  await other.getByRole('button', { name: 'Unlock with the passkey' }).click()
  await see(other, world.addresses.client1)
  await other.getByRole('button', { name: 'Knock', exact: true }).click()
  await see(other, 'The broker refused the sign-in. Enrol this device again.')

  // A code of a different site does not take the place of this one.
  await other.getByRole('button', { name: 'Take a new code' }).click()
  const elsewhere = device.profile.replace(/site=[^&]*/, 'site=0192f0c0-de00-7000-8000-000000000001').replace(/device=[^&]*/, 'device=0192f0c0-de00-7000-8000-000000000002')
  await other.getByLabel('Code of the device').fill(elsewhere)
  await other.getByRole('button', { name: 'Enrol this browser' }).click()
  await see(other, /This code is of a different site/)
  await other.getByRole('button', { name: 'Keep this device' }).click()
  await see(other, world.addresses.client1)
})
