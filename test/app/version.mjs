import assert from 'node:assert/strict'
import { cached, journey, phone, see, signIn } from './harness.mjs'

/** The content policy that the page shown was loaded with; the worker answers, not the server. */
async function policy(page) {
  return page.evaluate(async () => {
    for (const name of await caches.keys()) {
      const shell = await (await caches.open(name)).match('/')
      if (shell) return shell.headers.get('Content-Security-Policy')
    }
    return ''
  })
}

await journey(async (world, browsers) => {
  await world.letIn()
  const context = await browsers.new(phone)
  const page = await context.newPage()
  await page.goto('/')
  await signIn(page)
  await see(page, 'Where you are')
  await cached(page)
  assert(!(await policy(page)).includes('elsewhere.test'))
  await page.reload()
  await see(page, 'Where you are')

  // Another policy is another worker, as is another build.
  await world.stop('web')
  await world.edit('"https://address.test/"', '"https://address.test/", "https://elsewhere.test/"')
  await world.start('web')
  await page.evaluate(async () => (await navigator.serviceWorker.ready).update())
  await see(page, 'A new version is ready.')
  // It waits until it is asked for.
  const before = await page.evaluate(() => performance.timeOrigin)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  assert.equal(await page.evaluate(() => performance.timeOrigin), before, 'the page has loaded itself again')
  await browsers.shoot('version')

  await page.getByRole('button', { name: 'Reload' }).click()
  await page.waitForFunction((was) => performance.timeOrigin !== was, before)
  await see(page, 'Where you are')
  assert(await page.getByText('A new version is ready.').isHidden())
  assert((await policy(page)).includes('https://elsewhere.test'), 'the new policy is not there')
  const names = await page.evaluate(() => caches.keys())
  assert.equal(names.length, 1, `old caches are left: ${names}`)

  // What is no page of the app is not answered from the cache.
  const guest = await page.evaluate(async () => (await fetch('/i/')).text())
  assert(!guest.includes('id="app"'), 'the guest page is hidden by the app')
  const readiness = await context.newPage()
  await readiness.goto('/i/')
  await see(readiness, 'This link is not complete.')
})
