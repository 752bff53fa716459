// The server goes while Home is shown, which the page says, and what to do then. It is loaded again with
// the server away; and when the server is back, all is known again, and works, without anybody's help.
import assert from 'node:assert/strict'
import { cached, holdToasts, journey, phone, see, signIn, toast } from './harness.mjs'

await journey(async (world, browsers) => {
  const user = await world.addUser('dario')
  await world.addForward('kiosk', { user })
  const page = await (await browsers.new(phone, 'client1', world.detour)).newPage()
  await holdToasts(page)
  await page.goto('/')
  await signIn(page, 'dario')
  await see(page, 'Nothing is open.')
  await cached(page)
  const tile = page.getByRole('region', { name: 'Services' }).getByRole('button', { name: /^kiosk/ })
  const banner = page.locator('.banners').getByText("Ownline can't be reached from here.")
  const told = () => tile.evaluate((one) => document.getElementById(one.getAttribute('aria-describedby')).textContent)

  await world.stop('web')
  await banner.waitFor()
  await page.getByRole('button', { name: 'Try again' }).click()
  assert.equal(await page.locator('.banners').getByRole('link').count(), 0, 'a knock is offered without a device')
  assert.equal(await told(), "Ownline can't be reached from here.")
  await browsers.shoot('away')

  await page.reload()
  await banner.waitFor()
  await see(page, /^As of /)
  await see(page, 'Your address is not known.')

  await world.start('web')
  await see(page, 'Sessions open for this address alone.')
  await banner.waitFor({ state: 'hidden' })
  await page.getByText(/^As of /).waitFor({ state: 'hidden' })
  await tile.click()
  await toast(page, 'kiosk is open for 30 min').waitFor()
  await world.dark()
})
