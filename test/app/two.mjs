// Journey 6: what changes in one browser shows in the other, told by the stream; cut and resumed,
// the stream loses nothing.
import assert from 'node:assert/strict'
import { journey, laptop, phone, see, signIn } from './harness.mjs'

await journey(async (world, browsers) => {
  const user = await world.addUser('uma')
  for (const name of ['notes', 'tasks', 'lists']) await world.addProxied(name, { user })
  await world.letIn('client2')
  const page = await (await browsers.new(phone, 'client1', world.detour)).newPage()
  const other = await (await browsers.new(laptop, 'client2')).newPage()
  const asked = []
  page.on('request', (request) => asked.push(request))
  for (const one of [page, other]) {
    await one.goto('/')
    await signIn(one, 'uma')
    await see(one, 'Nothing is open.')
  }
  const row = (one, name) => one.getByRole('region', { name: 'Open now' }).getByRole('listitem').filter({ hasText: name })
  const tap = (name) => other.getByRole('region', { name: 'Services' }).getByRole('button', { name: new RegExp(`^${name} Closed`) }).click()
  const events = () => asked.filter((request) => request.url().endsWith('/api/v1/events'))
  const fetched = () => asked.filter((request) => /\/api\/v1\/sessions($|\?)/.test(request.url())).length

  // Opened there, it shows here; closed here, it ends there.
  await tap('notes')
  await row(page, 'notes').getByText(`from ${world.addresses.client2}`).waitFor()
  await row(page, 'notes').getByRole('button', { name: 'Close notes' }).click()
  await row(other, 'notes').getByText(/^Closed · Closed by/).waitFor()
  await row(page, 'notes').waitFor({ state: 'hidden' })
  await tap('tasks')
  await row(page, 'tasks').waitFor()

  // What happens while the stream is cut comes when it is back, and the page asks for nothing else.
  const before = fetched()
  const streams = events().length
  await world.cut()
  try {
    await world.until('the browser tries again', async () => events().length > streams)
    await row(other, 'tasks').getByRole('button', { name: 'Close tasks' }).click()
    await row(other, 'tasks').waitFor({ state: 'hidden' })
    await tap('lists')
    await row(other, 'lists').waitFor()
    // As long as nothing answers.
    await see(page, "Ownline can't be reached from here.")
    await browsers.shoot('two-cut')
    assert(await row(page, 'lists').isHidden(), 'it is known although the stream is cut')
    await row(page, 'tasks').getByRole('button', { name: 'Close tasks' }).waitFor()
  } finally {
    await world.mend()
  }
  await row(page, 'lists').getByText(`from ${world.addresses.client2}`).waitFor()
  await row(page, 'tasks').getByRole('button', { name: 'Close tasks' }).waitFor({ state: 'hidden' })
  await page.locator('.banners').getByText("Ownline can't be reached from here.").waitFor({ state: 'hidden' })
  assert.equal(fetched(), before, 'the page has fetched sessions, and was not told of them')
  assert((await events().at(-1).allHeaders())['last-event-id'], 'the stream begins anew')
  await world.dark('client2')
})
