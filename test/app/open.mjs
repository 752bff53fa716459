// Journeys 3 and 5: one tap opens, the badge and the ring are live, Undo closes; closed with Undo,
// the time that was left comes back.
import assert from 'node:assert/strict'
import { holdToasts, journey, loads, phone, see, signIn, toast } from './harness.mjs'

await journey(async (world, browsers) => {
  const user = await world.addUser('ana')
  await world.addProxied('album', { user })
  const address = 'https://album.home.test:9999/'
  await world.letIn()
  const context = await browsers.new(phone)
  const page = await context.newPage()
  await holdToasts(page)
  // The icon of an installed app, which a page can't read.
  await page.addInitScript(() => {
    navigator.setAppBadge = async (count) => void (window.badge = count)
  })
  await page.goto('/')
  await signIn(page, 'ana')
  await see(page, 'Nothing is open. Tap a service to open it for this address.')
  const open = page.getByRole('region', { name: 'Open now' })
  const row = open.getByRole('listitem').filter({ hasText: 'album' })
  const tile = page.getByRole('region', { name: 'Services' }).getByRole('button', { name: /^album/ })
  const badge = (count) => page.waitForFunction((n) => window.badge === n, count, { polling: 50 })
  const nobodyElse = async () => assert(!(await world.reaches('stranger', 9999)), 'a stranger is let in')
  await nobodyElse()
  assert(!(await loads(page, address)), 'it loads before it is opened')

  // One tap opens, Undo closes.
  await tile.click()
  await toast(page, 'album is open for 30 min').waitFor()
  await row.waitFor()
  await badge(1)
  await see(open, '1 session')
  await nobodyElse()
  await toast(page, 'is open for').getByRole('button', { name: 'Undo' }).click()
  await toast(page, 'album is closed').waitFor()
  await row.waitFor({ state: 'hidden' })
  await badge(0)
  await world.until('it is closed', async () => (await world.live(user)).length === 0)
  await world.until('it does not load after Undo', async () => !(await loads(page, address)))
  await toast(page, 'album is closed').getByRole('button', { name: 'Dismiss' }).click()

  // One tap opens, another goes there.
  await tile.click()
  const go = toast(page, 'album is open for 30 min').getByRole('link', { name: 'Go' })
  const [album] = await Promise.all([context.waitForEvent('page'), go.click()])
  await see(album, '"host":"album.home.test:9999"')
  await album.close()
  await page.bringToFront()
  await nobodyElse()
  await see(tile, /^Open · \d+:\d\d$/)

  // Badge and ring are live.
  const ring = row.locator('.rest')
  const rest = async () => Number((await ring.getAttribute('stroke-dasharray')).split(' ')[0])
  const seconds = async () => {
    const [minutes, over] = (await row.locator('.time').innerText()).match(/\d+/g).map(Number)
    return minutes * 60 + over
  }
  const before = { rest: await rest(), seconds: await seconds() }
  await world.until('ring and time go on', async () => (await rest()) < before.rest && (await seconds()) < before.seconds)
  await row.getByRole('img', { name: /^(28|29|30) minutes left$/ }).waitFor()
  await browsers.shoot('open')

  // Longer than a tap would open it for, so that it shows what Undo brings back.
  await tile.click()
  const sheet = page.getByRole('dialog', { name: 'album' })
  await sheet.getByRole('button', { name: 'Extend by 15 min' }).click()
  await toast(page, 'album is open until').waitFor()
  await sheet.getByRole('button', { name: 'Close this sheet' }).press('Escape')
  await sheet.waitFor({ state: 'hidden' })
  const [was] = await world.live(user)
  await row.getByRole('button', { name: 'Close album' }).click()
  await toast(page, 'album is closed').waitFor()
  await row.waitFor({ state: 'hidden' })
  await world.until('it is closed', async () => (await world.live(user)).length === 0)
  await world.until('it does not load after it is closed', async () => !(await loads(page, address)))
  await toast(page, 'album is closed').getByRole('button', { name: 'Undo' }).click()
  await row.waitFor()
  const [is] = await world.live(user)
  assert.notEqual(is.id, was.id)
  const off = Math.abs(Date.parse(is.expires) - Date.parse(was.expires))
  assert(off < 120_000, `Undo brings back ${off / 1000} s too much or too little`)
  await world.until('it loads after Undo', () => loads(page, address))
  await nobodyElse()
  await world.dark()
})
