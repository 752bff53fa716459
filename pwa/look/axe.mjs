// Accessibility of every scene, in both sizes, themes and languages: `npm run axe [NAME…]`.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { scenes } from './scenes.mjs'
import { drawIn, stage, themes } from './stage.mjs'

const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const wanted = process.argv.slice(2)

/** What axe finds; colours alone, where the rest was looked at already. */
function check(page, colours) {
  return page.evaluate(async (only) => {
    const { violations } = await globalThis.axe.run(document, {
      resultTypes: ['violations'],
      ...(only ? { runOnly: { type: 'rule', values: ['color-contrast'] } } : { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
    })
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary.split('\n').slice(0, 3).join(' ')}`),
    )
  }, colours)
}

async function look(page) {
  // By the debugger, which the content policy does not bind: the pages keep theirs.
  await page.evaluate(source)
  const found = []
  for (const [index, theme] of themes.entries()) {
    await drawIn(page, theme)
    found.push(...(await check(page, index > 0)).map((what) => `${theme}: ${what}`))
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  if (wide > 0) found.push(`it scrolls sideways by ${wide} px`)
  return found
}

const failures = await stage({
  scenes: scenes.filter(({ name }) => wanted.length === 0 || wanted.includes(name)),
  languages: (process.env.LANGUAGES ?? 'en es').split(' '),
  look,
})
process.stdout.write(failures > 0 ? `${failures} failures\n` : 'nothing found\n')
process.exitCode = failures > 0 ? 1 : 0
