// Browsers that look at the demo, scene by scene.
import { chromium } from 'playwright-core'
import { startDemo } from './demo.mjs'
import { jumps, lengthen, settled, shifted, speak } from './inside.mjs'

/** narrow is the narrowest that everything has to fit; zoomed is what a window of 1280 by 1024 has room for at 400 %. */
export const sizes = {
  phone: { width: 390, height: 844 }, desktop: { width: 1440, height: 900 }, narrow: { width: 320, height: 640 },
  laptop: { width: 1280, height: 800 }, zoomed: { width: 320, height: 256 },
}
/** What browsers write in, unless they are told otherwise. */
const usual = 16
/** The demo answers some requests with an error on purpose; a worker would answer in its place. */
const expected = /^Failed to load resource|^Service Worker registration blocked/

/** How long anything may take, in milliseconds: the machine may be busy. */
const patience = Number(process.env.PATIENCE ?? 60_000)

export const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Goes to a scene and waits until it stands still. */
export async function play(page, url, scene) {
  await page.goto(`${url}${scene.path}`)
  await page.locator(scene.guest ? 'main h1, main [role=alert]' : 'h1').first().waitFor()
  const waits = scene.demo === 'slow'
  if (!waits) await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
  if (scene.again) {
    await page.waitForFunction(() => (localStorage.getItem('ownline.known') ?? '').includes('"services":[{'))
    let answer
    const seen = new Promise((resolve) => (answer = resolve))
    await page.route('**/api/v1/services?*', (route) => void seen.then(() => route.continue()))
    await page.reload()
    await page.locator('.as-of').waitFor() // what is known is shown, until the server tells
    await page.evaluate(() => document.fonts.ready)
    await page.waitForFunction(() => performance.now() > (globalThis.lettered ?? 0) + 100) // from when on jumps count
    answer()
    await page.locator('.as-of').waitFor({ state: 'detached' })
  }
  if (scene.offline) for (const language of ['es', 'en']) await page.evaluate(speak, language)
  await scene.act?.(page, url)
  if (scene.offline) {
    await page.context().setOffline(true)
    await page.getByText('You are offline').first().waitFor()
  }
  // Skeletons come after 150 ms; faces of the font come late.
  await page.evaluate(() => document.fonts.ready)
  if (waits) await page.waitForTimeout(250)
  await page.evaluate(settled)
}

/** Whether a scene keeps the language it begins in: the guest page does, and who gets no answer any more or has no words. */
export const keeps = (scene) => scene.guest === true || scene.demo === 'slow' || (scene.misses !== undefined && !scene.act)

/**
 * Shows the scene that was played in another way, as a view tells: size, theme, language,
 * whether all words are longer, and how many times as large as usual the text is. That is the browser's own
 * setting: what the page itself says of its root does not reach the media queries.
 */
export async function show(page, { size, theme, language, longer, text = 1 }, scene) {
  const { width, height } = page.viewportSize()
  if (width !== sizes[size].width || height !== sizes[size].height) await page.setViewportSize(sizes[size])
  const settings = await page.context().newCDPSession(page)
  await settings.send('Page.setFontSizes', { fontSizes: { standard: usual * text } })
  await settings.detach()
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
  if (!keeps(scene)) {
    await page.evaluate(speak, language)
    if (longer) await page.evaluate(lengthen)
  }
  await page.evaluate(settled)
}

/**
 * Plays every scene and has look called for each of its views. tour tells, of a scene, in which
 * sizes and languages it is played, and with which views each time. What look finds, what the
 * console says, what jumps by more than mostJump of the screen and what fails is written down; how
 * much that was is returned.
 */
export async function stage({ scenes, tour, look, mostJump = Infinity, workers = 3 }) {
  const demo = await startDemo()
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  const counts = { failures: 0, scenes: scenes.length, views: 0 }
  const fail = (name, what) => {
    counts.failures++
    process.stdout.write(`${name}: ${what}\n`)
  }
  const jobs = scenes.flatMap((scene) => tour(scene).map((job) => Object.assign(job, { scene })))
  async function one({ scene, size, language, views }) {
    let name = `${scene.name} ${size} ${language}`
    const context = await browser.newContext({
      viewport: sizes[size], locale: language, timezoneId: 'UTC', reducedMotion: 'reduce', serviceWorkers: 'block',
      extraHTTPHeaders: { 'X-Demo': scene.demo ?? '' },
    })
    await context.addInitScript(shifted)
    if (scene.misses) await context.route(scene.misses, (route) => route.abort())
    if (scene.before) await context.addInitScript(scene.before)
    const page = await context.newPage()
    page.setDefaultTimeout(patience)
    page.on('console', (message) => {
      const ours = message.type() === 'error' || message.type() === 'warning'
      if (ours && !expected.test(message.text())) fail(name, `console: ${message.text()}`)
    })
    page.on('pageerror', (error) => fail(name, error))
    try {
      await play(page, demo.url, scene)
      const jumped = await page.evaluate(jumps)
      const sum = jumped.reduce((all, { value }) => all + value, 0)
      if (sum > mostJump && !scene.act && !scene.jumps && !scene.offline) fail(name, `it jumps by ${sum.toFixed(3)}: ${JSON.stringify(jumped)}`)
      for (const view of views) {
        name = [scene.name, view.size, view.theme, view.language, ...(view.longer ? ['longer'] : []), ...(view.text > 1 ? [`text ${view.text * 100} %`] : [])].join(' ')
        await show(page, view, scene)
        counts.views++
        for (const what of await look(page, view, scene)) fail(name, what)
      }
    } catch (error) {
      fail(name, String(error).split('\n').slice(0, 3).join(' '))
    } finally {
      await context.close()
    }
  }
  async function work() {
    for (let job = jobs.shift(); job; job = jobs.shift()) await one(job)
  }
  try {
    await Promise.all(Array.from({ length: workers }, work))
  } finally {
    await browser.close()
    demo.close()
  }
  return counts
}
