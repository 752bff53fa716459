// Journey 2: by password, wrong and right; too many tries; with a code of an app, a recovery code,
// and a passkey that the browser offers by itself.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { authenticator, journey, phone, see, settle, signIn } from './harness.mjs'

/** The code of an authenticator app, so many steps from now (RFC 6238; the secret in base32). */
function codeOf(secret, steps = 0) {
  const bits = [...secret.replace(/[\s=]/g, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const mac = createHmac('sha1', key).update(counter).digest()
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

async function signOut(page) {
  await page.getByRole('button', { name: 'Account' }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await see(page, 'Sign in to Ownline')
}

/** Signs in by the page, and returns what the server answered. */
async function attempt(page, name, password) {
  const [answer] = await Promise.all([page.waitForResponse(/\/auth\/login$/), signIn(page, name, password)])
  return answer.status()
}

await journey(async (world, browsers) => {
  for (const name of ['tom', 'ida']) await world.addUser(name)
  await world.letIn()
  const page = await (await browsers.new(phone)).newPage()
  await page.goto('/')
  await signIn(page, 'tom', 'not this one')
  await see(page, 'Name or password is not right.')
  await signIn(page, 'tom')
  await see(page, 'Where you are')
  await see(page, world.addresses.client1)

  // Whoever guesses has to wait, from where they guess; then the right one counts.
  await world.letIn('stranger')
  const guesser = await (await browsers.new(phone, 'stranger')).newPage()
  await guesser.goto('/')
  // The first ones past the app, and at once: the wait grows with every try that is slow to come.
  const first = await guesser.evaluate(async () => {
    const ask = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'ida', password: 'not this one' }) }
    return Promise.all([1, 2, 3, 4].map(async () => (await fetch('/api/v1/auth/login', ask)).status))
  })
  assert.deepEqual(first, [401, 401, 401, 401])
  let tries = 0
  while ((await attempt(guesser, 'ida', 'not this one')) !== 429) {
    await see(guesser, 'Name or password is not right.')
    assert(++tries < 8, 'guessing goes on and on')
  }
  await see(guesser, 'Too many tries. Wait 1 minute.')
  await browsers.shoot('signin-throttled')
  await world.until('ida may try again', async () => (await attempt(guesser, 'ida', world.password)) !== 429)
  await see(guesser, 'Where you are')
  await guesser.close()

  // An authenticator app.
  await page.goto('/settings/sign-in')
  await page.getByRole('button', { name: 'Turn on' }).click()
  const sheet = page.getByRole('dialog')
  await see(sheet, 'Or type this into the app')
  const secret = (await sheet.innerText()).match(/\b[A-Z2-7]{16,}\b|\b([A-Z2-7]{4} ){3,}[A-Z2-7]{4}\b/)[0]
  await sheet.getByLabel('6-digit code').fill(codeOf(secret))
  await settle()
  await sheet.getByRole('button', { name: 'Confirm' }).click()
  await see(page, 'They are shown only now.')
  const recovery = (await page.getByRole('dialog').locator('.codes li').first().innerText()).trim()
  await settle()
  await page.getByRole('button', { name: 'I have kept them' }).click()
  await signOut(page)
  await signIn(page, 'tom')
  const code = page.getByLabel('Enter the 6-digit code')
  const right = codeOf(secret, 1)
  await code.fill(String((Number(right) + 1) % 1_000_000).padStart(6, '0'))
  await see(page, 'That code is not right, or too old.')
  // A whole code goes by itself; each counts once, so it is the next.
  await code.fill(codeOf(secret, 1))
  await see(page, 'by password and code')

  // Without the app.
  await signOut(page)
  await signIn(page, 'tom')
  await page.getByRole('button', { name: 'Use a recovery code' }).click()
  await page.getByLabel('Enter a recovery code').fill(recovery)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await see(page, 'by recovery code')

  // A passkey, which the browser offers where the name is filled in: nothing is typed.
  await authenticator(page)
  await page.goto('/settings/sign-in')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('my phone')
  await page.getByRole('dialog').getByRole('button', { name: 'Add a passkey' }).click()
  await see(page, 'The passkey “my phone” is added.')
  await page.getByRole('button', { name: 'Account' }).click()
  const [answer] = await Promise.all([page.waitForResponse(/\/auth\/passkey$/), page.getByRole('button', { name: 'Sign out' }).click()])
  assert.equal(answer.status(), 200)
  await see(page, 'by passkey')
  await world.dark()
})
