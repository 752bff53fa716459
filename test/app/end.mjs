// Journey 4: in its last five minutes a session asks to be extended, in the last one aloud; one
// that nobody extends runs out, and its row tells why.
import assert from 'node:assert/strict'
import { holdToasts, journey, loads, openFor, phone, see, signIn, toast } from './harness.mjs'

await journey(async (world, browsers) => {
  const user = await world.addUser('eva')
  const films = await world.addProxied('films', { user })
  const books = await world.addProxied('books', { user })
  const songs = await world.addProxied('songs', { user })
  await world.letIn()
  const context = await browsers.new(phone)
  const page = await context.newPage()
  await holdToasts(page)
  await page.goto('/')
  await signIn(page, 'eva')
  await see(page, 'Nothing is open.')
  const rows = page.getByRole('region', { name: 'Open now' }).getByRole('listitem')
  const row = (name) => rows.filter({ hasText: name })
  const left = async (id) => {
    const one = (await world.live(user)).find(({ service }) => service === id)
    return one ? (Date.parse(one.expires) - Date.now()) / 1000 : 0
  }

  // All three are opened elsewhere: the page learns of them.
  await openFor(page, songs.id, '85s')
  await openFor(page, books.id, '4m50s')
  await openFor(page, films.id, '25s')
  await row('films').waitFor()
  assert(await loads(page, 'https://films.home.test:9999/'), 'it does not load while it is open')

  // In its last five minutes the row has a button for more.
  await row('books').getByText(/^0?4:\d\d left$/).waitFor()
  assert.equal(await row('books').getAttribute('data-soon'), 'true')
  await row('books').getByRole('button', { name: 'Extend books' }).click()
  await toast(page, 'books is open until').waitFor()
  await row('books').getByText(/^3\d:\d\d left$/).waitFor()
  await row('books').getByRole('button', { name: 'Extend books' }).waitFor({ state: 'hidden' })
  assert((await left(books.id)) > 30 * 60, 'nothing is extended')
  await toast(page, 'books is open until').getByRole('button', { name: 'Dismiss' }).click()

  // In the last one a toast says so.
  const soon = toast(page, 'songs closes in 1 minute')
  await soon.waitFor()
  assert((await left(songs.id)) < 61, 'it is said too early')
  await browsers.shoot('end-soon')
  await soon.getByRole('button', { name: 'Extend 30 min' }).click()
  await toast(page, 'songs is open until').waitFor()
  assert((await left(songs.id)) > 29 * 60, 'nothing is extended')

  // The third runs out, and can be opened again.
  await row('films').getByText('Closed · Time was up').waitFor()
  await browsers.shoot('end-over')
  const again = row('films').getByRole('button', { name: 'Open again' })
  await again.waitFor()
  assert.equal(await left(films.id), 0)
  assert(!(await loads(page, 'https://films.home.test:9999/')), 'it loads after its end')
  await page.getByRole('region', { name: 'Services' }).getByRole('button', { name: /^films Closed/ }).waitFor()
  assert(await loads(page, 'https://books.home.test:9999/'), 'what was extended does not load')
  await world.dark()
})
