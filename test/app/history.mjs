// Journeys 12 and 17: what ended, by filters that stand in the address, page by page, and Back finds
// the place; and somebody else sees nothing of it, by no page and no address.
import assert from 'node:assert/strict'
import { journey, laptop, phone, place, see, signIn } from './harness.mjs'

await journey(async (world, browsers) => {
  const films = await world.addProxied('films')
  const songs = await world.addProxied('songs')
  const open = (service, n) => world.call('POST', '/sessions', { service, source: `192.0.2.${n}` })
  for (let n = 0; n < 3; n++) {
    const { id } = await open(films.id, 100 + n)
    await world.call('DELETE', `/sessions/${id}`)
  }
  for (let n = 0; n < 110; n++) await open(songs.id, 100 + n)
  await world.call('DELETE', '/sessions')
  await world.letIn()
  const { id: last } = (await world.call('GET', `/sessions?state=ended&service=${films.id}&all=true`)).items[0]
  const device = await world.call('POST', '/devices', { site: world.site, name: 'watch' })
  const invitation = await world.call('POST', '/invitations', { service: films.id })

  for (const size of [phone, laptop]) {
    const context = await browsers.new(size)
    const page = await context.newPage()
    const asked = []
    page.on('request', (request) => {
      const url = new URL(request.url())
      if (url.pathname === '/api/v1/sessions' && url.searchParams.get('state') === 'ended' && url.searchParams.get('limit') === '50') asked.push(url.searchParams)
    })
    const rows = page.locator('main').getByRole('link', { name: /^(films|songs)$/ })
    await page.goto('/history')
    await signIn(page)
    await rows.first().waitFor()

    // A filter stands in the address, and counts when the address is opened elsewhere.
    await page.getByLabel('Service', { exact: true }).selectOption('films')
    await page.waitForURL(/service=/)
    await world.until('the filter counts', async () => (await rows.count()) === 3)
    await page.getByLabel('Reason', { exact: true }).selectOption('flushed')
    await see(page, 'Nothing matches.')
    const both = page.url()
    assert.match(both, /reason=flushed/)
    await page.getByRole('main').getByRole('button', { name: 'Clear filters' }).last().click()
    await rows.nth(20).waitFor()
    const again = await context.newPage()
    await again.goto(both.replace('flushed', 'closed'))
    await again.locator('main').getByRole('link', { name: 'films' }).nth(2).waitFor()
    assert.equal(await again.getByLabel('Reason', { exact: true }).inputValue(), 'closed')
    await again.close()

    // Three pages: the next comes when its end is near, each by the cursor of the one before.
    await page.getByLabel('Service', { exact: true }).selectOption('songs')
    await page.waitForURL(/service=/)
    asked.length = 0
    await world.until('all 110 are there', async () => {
      await rows.last().scrollIntoViewIfNeeded()
      return (await rows.count()) === 110
    })
    await page.getByRole('button', { name: 'Show more' }).waitFor({ state: 'detached' })
    const cursors = asked.map((query) => query.get('cursor')).filter(Boolean)
    assert.equal(new Set(cursors).size, 2, `the pages were asked by ${cursors}`)

    // Back from a sheet, and from another page, finds the place.
    const scrolled = () =>
      page.evaluate(() => [document.scrollingElement, ...document.querySelectorAll('main *')].reduce((most, one) => Math.max(most, one.scrollTop), 0))
    const target = rows.nth(100)
    await target.scrollIntoViewIfNeeded()
    await target.click()
    await page.getByRole('dialog').waitFor()
    await see(page.getByRole('dialog'), 'Closed')
    const before = await scrolled()
    assert(before > 1000, `it is not scrolled: ${before}`)
    await page.goBack()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await world.until('the place stays', async () => Math.abs((await scrolled()) - before) < 2)
    await place(page, 'Devices')
    await see(page, 'watch')
    await page.goBack()
    await rows.nth(109).waitFor()
    await world.until('Back finds the place', async () => Math.abs((await scrolled()) - before) < 50)
    assert.match(page.url(), /service=/)
    await browsers.shoot('history')
    await context.close()
  }

  // Ana may use songs, and has opened nothing.
  const { id: ana } = await world.call('POST', '/users', { name: 'lea', password: 'a good long password' })
  await world.call('POST', '/grants', { user: ana, service: songs.id })
  await world.letIn('client2')
  const live = await world.call('POST', '/sessions', { service: films.id, source: world.addresses.client2 })
  const context = await browsers.new(phone, 'client2')
  const page = await context.newPage()
  await page.goto('/')
  await signIn(page, 'lea', 'a good long password')
  await page.getByLabel('New password', { exact: true }).fill('a better long password')
  await page.keyboard.press('Enter')
  await see(page, 'Nothing is open. Tap a service to open it for this address.')
  await page.getByRole('button', { name: /^songs/ }).first().waitFor()
  assert(await page.getByText('films').isHidden(), 'a service of somebody else is shown')
  await page.goto('/history')
  await see(page, 'Nothing yet.')
  await page.goto('/devices')
  await see(page, 'No devices.')
  await page.goto('/invitations')
  await see(page, 'No invitations.')
  const typed = [`/sessions/${last}`, `/sessions/${live.id}`, `/history/${last}`, `/services/${films.id}`, `/devices/${device.id}`, `/invitations/${invitation.id}`, `/history?user=${await world.me()}`]
  for (const path of typed.slice(0, -1)) {
    await page.goto(path)
    await see(page.getByRole('dialog'), path.includes('/sessions/') || path.startsWith('/history/') ? 'This session ended long ago, or never was.' : 'There is nothing here.')
    assert(!/films|watch|192\.0\.2\./.test(await page.innerText('body')), `${path} tells`)
  }
  await page.goto(typed.at(-1))
  await see(page, /Nothing (yet|matches)\./)
  for (const path of ['/users', '/audit', '/sessions?all=true', `/sessions?user=${await world.me()}`, `/sessions/${last}`, `/devices/${device.id}`, `/invitations/${invitation.id}`, `/services/${films.id}`]) {
    const { status, items } = await page.evaluate(async (asked) => {
      const answer = await fetch(`/api/v1${asked}`)
      return { status: answer.status, ...(await answer.json()) }
    }, path)
    assert([403, 404].includes(status) || items?.length === 0, `${path} is answered by ${status}`)
  }
  // Nor can what is somebody else's be ended.
  const ended = await page.evaluate(async (id) => (await fetch(`/api/v1/sessions/${id}`, { method: 'DELETE' })).status, live.id)
  assert.equal(ended, 404)
  assert.equal((await world.call('GET', `/sessions/${live.id}`)).state, 'active')
  await world.call('DELETE', `/invitations/${invitation.id}`)
  await world.call('DELETE', `/devices/${device.id}`)
})
