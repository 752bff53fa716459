// Visits the guest page as a guest does, with a real browser, and prints what is seen as JSON.
// Its one argument is JSON: url, language, headers, click; see internal/web's tests.
import { chromium } from 'playwright-core'

const { url, language, headers, click } = JSON.parse(process.argv[2])
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  const context = await browser.newContext({ locale: language, extraHTTPHeaders: headers ?? {}, colorScheme: 'dark' })
  const page = await context.newPage()
  const problems = []
  page.on('console', (m) => {
    if (m.type() === 'error') problems.push(m.text())
  })
  page.on('pageerror', (e) => problems.push(String(e)))
  const asked = []
  page.on('request', (r) => asked.push(r.url()))
  await page.goto(url)
  // Whatever it says, it has stopped loading.
  const settled = () => page.waitForFunction(() => document.querySelector('main h1, main [role=alert]') !== null, undefined, { timeout: 40_000 })
  await settled()
  const before = await page.innerText('main')
  // What stands for the service: a glyph, a picture that was drawn, or a letter.
  const drawn = () => page.waitForFunction(() => {
    const mark = document.querySelector('main .mark')
    if (mark === null) return 'none'
    const picture = mark.querySelector('img')
    return picture ? picture.naturalWidth > 0 && 'picture' : mark.querySelector('path') ? 'glyph' : mark.textContent
  }, undefined, { timeout: 40_000 }).then((found) => found.jsonValue())
  const mark = await drawn()
  let after = ''
  if (click) {
    await page.click('main button')
    await page.waitForFunction((was) => document.querySelector('main .count, main [role=alert]') !== null && document.querySelector('main').innerText !== was, before, { timeout: 40_000 })
    after = await page.innerText('main')
  }
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT })
  process.stdout.write(JSON.stringify({ before, after, mark, problems, asked, language: await page.getAttribute('html', 'lang') }))
} finally {
  await browser.close()
}
