// Journey 7: core is stopped, which the page says; nothing opens, and what is open goes on in the
// kernel. Core is back, and all clears by itself. Ownline itself is reached past core here.
import assert from 'node:assert/strict'
import { holdToasts, journey, loads, phone, see, signIn, toast } from './harness.mjs'

await journey(async (world, browsers) => {
  const user = await world.addUser('cleo')
  await world.addForward('desk', { user })
  await world.addForward('safe', { user })
  const page = await (await browsers.new(phone, 'client1', world.detour)).newPage()
  await holdToasts(page)
  await page.goto('/')
  await signIn(page, 'cleo')
  await see(page, 'Nothing is open.')
  const services = page.getByRole('region', { name: 'Services' })
  const tile = (name) => services.getByRole('button', { name: new RegExp(`^${name}`) })
  const row = page.getByRole('region', { name: 'Open now' }).getByRole('listitem').filter({ hasText: 'desk' })
  const banner = page.getByText('home can’t be reached. Open sessions keep running').or(page.getByText("home can't be reached. Open sessions keep running"))

  await tile('desk').click()
  await row.waitFor()
  await toast(page, 'desk is open').getByRole('button', { name: 'Dismiss' }).click()
  const [{ address, public_port: port }] = await world.live(user)
  assert(await loads(page, `http://${address}/`), 'it does not load')

  await world.stop('core')
  await banner.waitFor()
  await tile('safe').getByText('Unreachable').waitFor()
  await browsers.shoot('core-down')
  // A tap does nothing, and the sheet offers nothing.
  await tile('safe').click({ force: true })
  await services.getByRole('button', { name: 'More of safe' }).click()
  const sheet = page.getByRole('dialog', { name: 'safe' })
  await see(sheet, "new ones can't open")
  const button = sheet.getByRole('button', { name: 'Open for 30 min' })
  assert(await button.isDisabled(), 'it can be opened')
  await button.click({ force: true })
  await page.keyboard.press('Escape')
  await sheet.waitFor({ state: 'hidden' })
  assert.deepEqual((await world.live(user)).map((one) => one.service_name), ['desk'])
  // What runs stays, on the page and in the kernel, for this address alone.
  await row.getByText(/\d left$/).waitFor()
  assert(await loads(page, `http://${address}/`), 'what was open does not load any more')
  assert(!(await world.reaches('stranger', port)), 'a stranger is let in')

  await world.start('core')
  await banner.waitFor({ state: 'hidden' })
  await tile('safe').getByText('Closed').waitFor()
  await tile('safe').click()
  await toast(page, 'safe is open for 30 min').waitFor()
  assert(await loads(page, `http://${address}/`), 'what was open has ended with the new core')
  await world.dark()
  assert(!(await loads(page, `http://${address}/`, 3000)), 'it loads after its end')
})
