// Browsers that look at the demo, scene by scene.
import { chromium } from 'playwright-core'
import { startDemo } from './demo.mjs'

export const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1440, height: 900 } }
/** The demo answers some requests with an error on purpose; a worker would answer in its place. */
const expected = /^Failed to load resource|^Service Worker registration blocked/

export const themes = ['light', 'dark']

/** How long anything may take, in milliseconds: the machine may be busy. */
const patience = Number(process.env.PATIENCE ?? 20_000)

/** Goes to a scene and waits until it stands still. */
export async function play(page, url, scene) {
  await page.setExtraHTTPHeaders({ 'X-Demo': scene.demo ?? '' })
  await page.goto(`${url}${scene.path}`)
  await page.locator('h1').first().waitFor()
  const waits = scene.demo === 'slow'
  if (!waits) await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
  if (scene.offline) {
    await page.context().setOffline(true)
    await page.waitForTimeout(200)
  }
  await scene.act?.(page)
  // Skeletons come after 150 ms; sheets rise, and faces of the font come late.
  await page.evaluate(() => document.fonts.ready)
  await page.waitForTimeout(waits ? 250 : 50)
}

/**
 * Has look called for every scene, size and language that it speaks, some at a time. What look
 * finds, what the console says and what fails is written down; how much that was is returned.
 */
export async function stage({ scenes, languages, look, speaks = () => true, workers = 3 }) {
  const demo = await startDemo()
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
  let failures = 0
  const fail = (name, what) => {
    failures++
    process.stdout.write(`${name}: ${what}\n`)
  }
  const jobs = Object.keys(sizes).flatMap((size) =>
    languages.flatMap((language) => scenes.filter((scene) => speaks(scene, language)).map((scene) => ({ size, language, scene }))),
  )
  async function one({ size, language, scene }) {
    const context = await browser.newContext({
      viewport: sizes[size], locale: language, timezoneId: 'UTC', reducedMotion: 'reduce', serviceWorkers: 'block', deviceScaleFactor: 1,
    })
    const name = `${scene.name} ${size} ${language}`
    const page = await context.newPage()
    page.setDefaultTimeout(patience)
    page.on('console', (message) => {
      const ours = message.type() === 'error' || message.type() === 'warning'
      if (ours && !expected.test(message.text())) fail(name, `console: ${message.text()}`)
    })
    page.on('pageerror', (error) => fail(name, error))
    try {
      await play(page, demo.url, scene)
      for (const what of await look(page, { size, language, scene })) fail(name, what)
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
  return failures
}

/** Draws a page in a theme. */
export function drawIn(page, theme) {
  return page.evaluate((name) => (document.documentElement.dataset.theme = name), theme)
}
