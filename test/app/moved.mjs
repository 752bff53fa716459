// Journeys 14 and 15: what happens under an open page. The address changes, and what is open follows
// by one tap; the sign-in is over while a form is half filled, and nothing of it is lost.
import assert from 'node:assert/strict'
import { journey, phone, place, see, signIn } from './harness.mjs'

await journey(async (world, browsers) => {
  const notes = await world.addProxied('notes')
  await world.letIn()
  const before = world.addresses.client1
  const open = async () => (await world.call('GET', `/sessions?state=live&all=true&service=${notes.id}`)).items.map(({ source }) => source)
  const context = await browsers.new(phone)
  const page = await context.newPage()
  await page.goto('/')
  await signIn(page)
  await page.getByRole('button', { name: /^notes Closed/ }).click()
  await see(page, 'notes is open for 30 min')
  assert.deepEqual(await open(), [`${before}/32`])

  // The phone leaves the café's network. A knock has let it in to Ownline, and to nothing else.
  const now = await world.do('roam', 'client1', 'away')
  await world.call('POST', '/sessions', { service: (await world.service('ownline')).id, source: now })
  await see(page, `Your address is now ${now}. Sessions still belong to ${before}.`)
  await browsers.shoot('moved')
  assert.deepEqual(await open(), [`${before}/32`])
  await page.getByRole('button', { name: 'Move them here' }).click()
  await see(page, /^\d sessions? (is|are) moved$/)
  await page.getByText('Sessions still belong to').waitFor({ state: 'hidden' })
  await world.until('it belongs to the new address alone', async () => String(await open()) === `${now}/32`)
  const [there] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Go to notes' }).first().click()])
  await see(there, '"host":"notes.home.test:9999"')
  await there.close()

  // An admin ends the sign-in, or time does: the form waits, over it somebody signs in.
  await place(page, 'Invite')
  await page.getByRole('button', { name: 'Invite', exact: true }).click()
  const form = page.getByRole('dialog', { name: 'Invite' })
  await form.getByLabel('Service', { exact: true }).selectOption('notes')
  await form.getByLabel('Message').fill('For the weekend')
  const { items } = await world.call('GET', '/logins')
  assert(items.length > 0)
  for (const { id } of items) await world.call('DELETE', `/logins/${id}`)
  const again = page.getByRole('dialog', { name: 'Sign in again to go on.' })
  // Word of it comes by the stream of events, or with the next request.
  await form.getByRole('button', { name: 'Create invitation' }).click({ timeout: 5000 }).catch(() => {})
  await again.waitFor()
  await browsers.shoot('over')
  await world.until('the sheet knows who it was', async () => (await again.getByLabel('User name').inputValue()) === world.name)
  await again.getByLabel('Password', { exact: true }).fill('not this one')
  await again.getByRole('button', { name: 'Sign in', exact: true }).click()
  await see(again, 'Name or password is not right.')
  await again.getByLabel('Password', { exact: true }).fill(world.password)
  await again.getByRole('button', { name: 'Sign in', exact: true }).click()
  await again.waitFor({ state: 'hidden' })
  assert.equal(await form.getByLabel('Message').inputValue(), 'For the weekend')
  assert.match(page.url(), /\/invitations\/new$/)
  await form.getByRole('button', { name: 'Create invitation' }).click()
  await see(page.getByRole('dialog'), 'This link is shown only now. Whoever has it can use it.')
  const made = (await world.call('GET', '/invitations?limit=200')).items.filter(({ message }) => message === 'For the weekend')
  assert.equal(made.length, 1, 'there is not one invitation')

  await world.call('DELETE', `/invitations/${made[0].id}`)
  await world.do('roam', 'client1', 'home')
})
