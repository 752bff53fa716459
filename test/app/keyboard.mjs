// Journey 19: everything on Home by keyboard alone, in a window of 320 pixels.
import assert from 'node:assert/strict'
import { holdToasts, journey, see } from './harness.mjs'

await journey(async (world, browsers) => {
  const { id } = await world.addProxied('recipes')
  // So that what is open would come before others.
  await world.addProxied('cinema')
  await world.letIn()
  const page = await (await browsers.new({ viewport: { width: 320, height: 640 } })).newPage()
  await holdToasts(page)
  const live = async () => (await world.call('GET', `/sessions?state=live&all=true&service=${id}`)).items
  const focused = (locator) => locator.evaluate((one) => one === document.activeElement || one.contains(document.activeElement))
  const fits = async (where) => assert(await page.evaluate(() => document.documentElement.scrollWidth <= 320), `${where} is wider than the window`)

  /** Goes on with the Tab key, until something has the focus, which has to be seen. */
  async function tabTo(locator, key = 'Tab') {
    await locator.waitFor()
    for (let n = 0; !(await locator.evaluate((one) => one === document.activeElement)); n++) {
      assert(n < 80, `${key} does not lead to ${locator}`)
      await page.keyboard.press(key)
    }
    const seen = () => locator.evaluate((one) => {
      const outlined = (e, which) => parseFloat(getComputedStyle(e, which).outlineWidth) >= 2 && getComputedStyle(e, which).outlineStyle !== 'none'
      const box = one.getBoundingClientRect()
      const around = [one, one.parentElement, one.nextElementSibling].filter(Boolean)
      const above = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)?.closest('nav, header')
      if (above && !above.contains(one)) return false
      return (around.some((e) => outlined(e)) || outlined(one, '::after')) && box.bottom > 0 && box.top < innerHeight
    })
    await world.until(`the focus of ${locator} is to be seen`, seen)
  }
  const button = (name, within = page) => within.getByRole('button', { name })

  await page.goto('/')
  await tabTo(page.getByLabel('User name'))
  await page.keyboard.type(world.name)
  await tabTo(page.getByLabel('Password', { exact: true }))
  await page.keyboard.type(world.password)
  await page.keyboard.press('Enter')
  await see(page, 'Where you are')
  await fits('Home')

  // The first stop leads past the frame.
  await page.reload()
  await button(/^recipes Closed/).waitFor()
  await tabTo(page.getByRole('link', { name: 'To content' }))
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'content')

  // A tile opens, and keeps its place and the focus; its toast takes that back; the tile opens again.
  const order = () => page.getByRole('region', { name: 'Services' }).locator('.name').allInnerTexts()
  const before = await order()
  await tabTo(button(/^recipes Closed/))
  await page.keyboard.press('Enter')
  await see(page, 'recipes is open for 30 min')
  await button(/^recipes Open/).waitFor()
  assert.deepEqual(await order(), before)
  assert(await focused(button(/^recipes Open/)), 'the tile has lost the focus')
  await tabTo(button('Undo'))
  await page.keyboard.press('Enter')
  await world.until('it is closed again', async () => (await live()).length === 0)
  await tabTo(button(/^recipes Closed/), 'Shift+Tab')
  await page.keyboard.press('Space')
  const row = page.getByRole('region', { name: 'Open now' }).getByRole('listitem').filter({ hasText: 'recipes' })
  await row.getByRole('link', { name: 'recipes', exact: true }).waitFor()
  await fits('Home with a session')

  // Its row leads to its sheet, where it is extended; Escape leads back to the row.
  const name = row.getByRole('link', { name: 'recipes', exact: true })
  await tabTo(name, 'Shift+Tab')
  await page.keyboard.press('Enter')
  const sheet = page.getByRole('dialog')
  const [{ expires }] = await live()
  await tabTo(button('Extend by 15 min', sheet))
  await fits('the session')
  await browsers.shoot('keyboard-session')
  await page.keyboard.press('Enter')
  await world.until('it lasts longer', async () => Date.parse((await live())[0].expires) > Date.parse(expires) + 60_000)
  await page.keyboard.press('Escape')
  await sheet.waitFor({ state: 'detached' })
  await world.until('the focus is on the row again', () => focused(name))

  // Go is a link to it, Close closes.
  await tabTo(row.getByRole('link', { name: 'Go to recipes' }))
  await tabTo(button('Close recipes', row))
  await page.keyboard.press('Enter')
  await world.until('it is closed', async () => (await live()).length === 0)
  await row.waitFor({ state: 'hidden' })
  await world.until('something has the focus again', () => page.evaluate(() => document.activeElement !== document.body))

  // The service's sheet: another length by the arrows, and open.
  await tabTo(button('More of recipes'))
  await page.keyboard.press('Enter')
  await tabTo(sheet.getByRole('radio', { checked: true }).first())
  await page.keyboard.press('ArrowRight')
  await tabTo(button('Open for 1 h', sheet))
  await fits('the service')
  await page.keyboard.press('Enter')
  await sheet.waitFor({ state: 'detached' })
  await world.until('it is open', async () => (await live()).length === 1)

  // What stands around: everybody's sessions, the badge of the site, the account.
  const everyone = page.getByRole('switch', { name: 'Everyone’s' }).or(page.getByRole('switch', { name: "Everyone's" }))
  await tabTo(everyone, 'Shift+Tab')
  await page.keyboard.press('Space')
  await world.until('all are shown', () => everyone.isChecked())
  const badge = page.getByRole('banner').getByRole('button').first()
  await tabTo(badge, 'Shift+Tab')
  await page.keyboard.press('Enter')
  await see(page, 'Open Sites')
  await fits('the sites')
  await page.keyboard.press('Escape')
  await page.getByText('Open Sites').waitFor({ state: 'hidden' })
  const account = button(/Account$/)
  await tabTo(account)
  await page.keyboard.press('Enter')
  await tabTo(button('Close all my sessions'))
  await fits('the menu')
  await browsers.shoot('keyboard-menu')
  await page.keyboard.press('Enter')
  const ask = page.getByRole('dialog', { name: 'Close all your sessions?' })
  await tabTo(button('Cancel', ask))
  await page.keyboard.press('Enter')
  await ask.waitFor({ state: 'detached' })

  // Single keys.
  await page.keyboard.press('?')
  await see(sheet, 'Find in the list')
  await fits('the list of keys')
  await page.keyboard.press('Escape')
  await sheet.waitFor({ state: 'detached' })
  // The second key has to come soon: a busy machine may take more than one try.
  const goes = (key, path) =>
    world.until(`g ${key} leads to ${path}`, async () => {
      await page.keyboard.press('g')
      await page.keyboard.press(key)
      return new URL(page.url()).pathname === path
    })
  await goes('d', '/devices')
  await page.getByRole('heading', { name: 'Devices', level: 1 }).waitFor()
  await world.until('the heading has the focus', () => page.evaluate(() => document.activeElement.tagName === 'H1'))
  await goes('h', '/')
  await row.waitFor()

  // Whatever can be pressed here, Tab comes by.
  const all = page.locator('a[href], button, input, select, textarea').filter({ visible: true })
  const passed = new Set()
  const wanted = await all.evaluateAll((some) => some.map((one, n) => (one.dataset.stop = String(n))))
  assert(wanted.length > 10)
  await page.evaluate(() => document.activeElement.blur())
  for (let n = 0; n < wanted.length + 20; n++) {
    await page.keyboard.press('Tab')
    passed.add(await page.evaluate(() => document.activeElement.dataset.stop))
  }
  const missed = wanted.filter((n) => !passed.has(n))
  const what = await page.evaluate((some) => some.map((n) => document.querySelector(`[data-stop="${n}"]`)?.outerHTML), missed)
  assert.deepEqual(what, [], 'Tab does not come by')
  await world.call('DELETE', '/sessions')
})
