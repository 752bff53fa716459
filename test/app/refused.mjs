// Journey 8: a port that is taken, longer than allowed, refused by policy, failed by the core: each
// says what to do, and opens nothing. Ownline itself is reached past core, which hangs in the end.
import assert from 'node:assert/strict'
import { holdToasts, journey, phone, see, signIn, toast } from './harness.mjs'

await journey(async (world, browsers) => {
  const user = await world.addUser('rita')
  await world.addForward('shop', { user })
  await world.addForward('till', { user }, `${world.lan}:7`)
  await world.addForward('yard', { user, public_port: 20600 })
  await world.addForward('barn', { user, public_port: 20800 })
  const long = await world.addForward('loft', { user })
  const page = await (await browsers.new(phone, 'client1', world.detour)).newPage()
  await holdToasts(page)
  await page.goto('/')
  await signIn(page, 'rita')
  await see(page, 'Nothing is open.')
  const services = page.getByRole('region', { name: 'Services' })
  const tile = (name) => services.getByRole('button', { name: new RegExp(`^${name}`) })
  const more = async (name) => {
    await services.getByRole('button', { name: `More of ${name}` }).click()
    return page.getByRole('dialog', { name })
  }
  const opened = async (...names) => assert.deepEqual((await world.live(user)).map((one) => one.service_name).sort(), names)
  const dismiss = (text) => toast(page, text).getByRole('button', { name: 'Dismiss' }).click()

  // A port that another session of this address has.
  let sheet = await more('shop')
  await sheet.getByLabel('Public port').fill('20500')
  await sheet.getByRole('button', { name: 'Open for 30 min' }).click()
  await toast(page, 'shop is open for 30 min').waitFor()
  await dismiss('shop is open')
  await sheet.waitFor({ state: 'hidden' })
  sheet = await more('till')
  await sheet.getByLabel('Public port').fill('20500')
  await sheet.getByRole('button', { name: 'Open for 30 min' }).click()
  await sheet.getByRole('alert').getByText(/^Port 20500 is in use until [^.]*\. Choose another\.$/).waitFor()
  await browsers.shoot('refused-port')
  await opened('shop')
  await sheet.getByLabel('Public port').fill('20501')
  await sheet.getByRole('button', { name: 'Try again' }).click()
  await toast(page, 'till is open for 30 min').waitFor()
  await dismiss('till is open')
  await opened('shop', 'till')

  // Longer than allowed: the grant was cut since it was chosen.
  sheet = await more('loft')
  await sheet.getByText('1 h', { exact: true }).click()
  await sheet.getByRole('button', { name: 'Open for 1 h' }).waitFor()
  await page.keyboard.press('Escape')
  await sheet.waitFor({ state: 'hidden' })
  const [grant] = (await world.call('GET', `/grants?service=${long.id}`)).items
  await Promise.all([
    page.waitForResponse(/\/api\/v1\/grants/),
    world.call('PATCH', `/grants/${grant.id}`, { max_duration: '20m' }),
  ])
  await tile('loft').click()
  await toast(page, 'loft was not opened. At most 20 min for you.').waitFor()
  await dismiss('loft was not opened')
  await opened('shop', 'till')
  await tile('loft').getByText('Failed · tap for why').click()
  sheet = page.getByRole('dialog', { name: 'loft' })
  await see(sheet.getByRole('alert'), 'At most 20 min for you.')
  await browsers.shoot('refused-long')
  await sheet.getByRole('button', { name: 'Try again' }).click()
  await toast(page, 'loft is open for 20 min').waitFor()
  await dismiss('loft is open')
  await opened('loft', 'shop', 'till')

  // Refused by policy: the grant says which port.
  sheet = await more('yard')
  await sheet.getByLabel('Public port').fill('20700')
  await sheet.getByRole('button', { name: 'Open for 30 min' }).click()
  await see(sheet.getByRole('alert'), 'Ownline refused: the grant fixes port 20600.')
  await opened('loft', 'shop', 'till')
  await page.keyboard.press('Escape')
  await sheet.waitFor({ state: 'hidden' })
  await tile('yard').getByText('Failed · tap for why').waitFor()

  // Failed by the core, which hangs: when it goes on, nothing opens after all.
  await world.do('freeze', 'core')
  await tile('barn').click()
  await tile('barn').getByText('Opening…').waitFor()
  await toast(page, 'barn was not opened. The core could not be reached. Nothing was opened.').waitFor()
  await browsers.shoot('refused-core')
  await dismiss('barn was not opened')
  await world.do('thaw', 'core')
  await tile('barn').getByText('Failed · tap for why').click()
  sheet = page.getByRole('dialog', { name: 'barn' })
  await see(sheet.getByRole('alert'), 'home could not open it. Nothing was opened.')
  const [failed] = (await world.call('GET', `/sessions?state=ended&user=${user}`)).items
  assert.equal(failed.reason, 'failed')
  await opened('loft', 'shop', 'till')
  // What core does next, it does after what it may have kept of the one that failed.
  await sheet.getByRole('button', { name: 'Close this sheet' }).press('Escape')
  await world.until('core is there again', async () => (await world.call('GET', '/sites')).items[0].connected)
  await world.dark()
  for (const port of [20500, 20501, 20800]) assert(!(await world.reaches('client1', port)), `port ${port} is open`)
})
