// Looks at every scene as people do who can't see it well, and as those with the least room:
// `npm run axe [NAME…]`. A scene is played once and seen in both sizes, themes and languages; WHOLE=1
// plays it in each size and holds every combination to every rule. With --few it is those of every page
// that tell most, which are part of the tests.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fits, grows } from './inside.mjs'
import { scenes, telling } from './scenes.mjs'
import { keeps, stage } from './stage.mjs'

const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const few = process.argv.includes('--few')
const wanted = few ? telling : process.argv.slice(2)
const whole = process.env.WHOLE === '1'
/** What one page may jump by, as a share of the screen. */
const mostJump = 0.02

/** What axe finds; colours alone, where the rest was looked at already. */
function check(page, colours) {
  const options = {
    resultTypes: ['violations'], preload: false,
    runOnly: colours ? { type: 'rule', values: ['color-contrast'] } : { type: 'tag', values: rules },
  }
  return page.evaluate(async (how) => {
    let { violations } = await globalThis.axe.run(document, how)
    // What the tabs or a toast cover a part of is scrolled to, or waited for: it has its size without them.
    const small = violations.find(({ id }) => id === 'target-size')
    if (small) {
      document.querySelector(small.nodes[0].target[0]).scrollIntoView({ block: 'center' })
      for (const toasts of document.querySelectorAll('.toasts')) toasts.style.display = 'none'
      const again = await globalThis.axe.run(document, { ...how, runOnly: { type: 'rule', values: ['target-size'] } })
      for (const toasts of document.querySelectorAll('.toasts')) toasts.style.display = ''
      violations = [...violations.filter((one) => one !== small), ...again.violations]
    }
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary.split('\n').slice(0, 3).join(' ')}`),
    )
  }, options)
}

const view = (size, language, theme, by) => ({ size, language, theme, by, longer: by === 'room' })
const large = (size, text) => Object.assign(view(size, 'en', 'light', 'text'), { text })
/** Text of twice the usual size on a phone and on a small screen, and a window at four times its size. */
const larger = [large('phone', 2), large('laptop', 2), large('zoomed', 1)]

/**
 * How a scene is played, and in which views it is looked at then: by all rules, by colours alone, or
 * for the room that its words need, which are longer then, or whose text is larger. The words that a scene is played by are
 * English, but of one that keeps its language.
 */
function tour(scene) {
  const both = [view('phone', 'en', 'light', 'rules'), view('phone', 'en', 'dark', 'colours'), view('desktop', 'es', 'light', 'rules')]
  const room = [view('narrow', 'en', 'light', 'room'), view('phone', 'en', 'light', 'room')]
  if (keeps(scene)) {
    const plays = whole ? ['phone', 'desktop'].flatMap((size) => ['en', 'es'].map((language) => [size, language])) : [['phone', 'en'], ['desktop', 'es']]
    return plays.map(([size, language]) => ({
      size, language,
      views: [view(size, language, 'light', 'rules'), view(size, language, 'dark', whole ? 'rules' : 'colours'), ...(size === 'phone' && language === 'en' ? larger : [])],
    }))
  }
  if (!whole) return [{ size: 'phone', language: 'en', views: [...both, ...larger.slice(0, few ? 2 : 3), ...room.slice(0, few ? 1 : 2)] }]
  const each = (size) => ['en', 'es'].flatMap((language) => ['light', 'dark'].map((theme) => view(size, language, theme, 'rules')))
  return [
    { size: 'phone', language: 'en', views: [...each('phone'), ...larger, ...room] },
    { size: 'desktop', language: 'en', views: [...each('desktop'), view('desktop', 'en', 'light', 'room')] },
  ]
}

async function look(page, { by }) {
  const room = by === 'colours' ? [] : await page.evaluate(fits)
  if (by === 'room') return room
  if (by === 'text') return [...room, ...(await page.evaluate(grows))]
  // By the debugger, which the content policy does not bind: the pages keep theirs.
  await page.evaluate(source)
  return [...room, ...(await check(page, by === 'colours'))]
}

const unknown = wanted.filter((each) => !scenes.some(({ name }) => name === each))
if (unknown.length > 0) throw new Error(`there is no scene ${unknown.join(', ')}`)
const begun = Date.now()
const { failures, scenes: played, views } = await stage({
  scenes: scenes.filter(({ name }) => wanted.length === 0 || wanted.includes(name)), tour, look, mostJump,
})
process.stdout.write(`axe: ${played} scenes in ${views} views, ${failures} failures, ${Math.round((Date.now() - begun) / 1000)} s\n`)
// In the words of the other tests: .ci/run counts it as one.
process.stdout.write(`--- ${failures > 0 ? 'FAIL' : 'PASS'}: axe\n`)
process.exitCode = failures > 0 ? 1 : 0
