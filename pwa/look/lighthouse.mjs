// What Lighthouse says of the pages that people meet first, on a phone: `npm run lighthouse [RUNS [PATH…]]`.
// One run holds them to all that the machine has no part in. From three runs on their medians are
// scored for performance too, where the machine is fast enough for the score to mean anything.
import lighthouse from 'lighthouse'
import { chromium } from 'playwright-core'
import { startDemo } from './demo.mjs'
import { executablePath } from './stage.mjs'

const runs = Number(process.argv[2] ?? 1)
const wanted = process.argv.slice(3)
const pages = [
  { path: '/login', demo: 'out' },
  { path: '/' },
  { path: '/i/#3Qm5c0Yl2b8vUu3nB7sR6gKq1hJw4tZ9xE8aD2fG5cY' },
  { path: '/client' },
]
const limits = { accessibility: 1, 'best-practices': 1, performance: 0.95, shift: 0.02, benchmark: 1000 }
const patience = 60_000
/** What performance is made of, beside the layout shift. */
const metrics = ['first-contentful-paint', 'largest-contentful-paint', 'speed-index', 'total-blocking-time']

const say = (line) => process.stdout.write(`${line}\n`)
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
const scored = runs >= 3

const demo = await startDemo()
const port = 20_000 + Math.floor(Math.random() * 10_000)
const browser = await chromium.launch({
  executablePath, args: ['--no-sandbox', '--disable-gpu', `--remote-debugging-port=${port}`],
})
let failures = 0
const fail = (path, what) => {
  failures++
  say(`${path}: ${what}`)
}

async function look({ path, demo: state }) {
  const results = []
  for (let run = 0; run < runs; run++) {
    const { lhr } = await lighthouse(`${demo.url}${path}`, {
      port, output: 'json', logLevel: 'error', maxWaitForLoad: patience, maxWaitForFcp: patience,
      extraHeaders: { 'X-Demo': state ?? '' },
      onlyCategories: ['accessibility', 'best-practices', ...(scored ? ['performance'] : [])],
      ...(!scored && { onlyAudits: ['cumulative-layout-shift', 'layout-shifts'] }),
    })
    if (lhr.runtimeError) return fail(path, lhr.runtimeError.message)
    results.push(lhr)
  }
  for (const category of ['accessibility', 'best-practices']) {
    if (median(results.map(({ categories }) => categories[category].score)) >= limits[category]) continue
    for (const { id } of results[0].categories[category].auditRefs) {
      const audit = results[0].audits[id]
      if (audit.score !== null && audit.score < 1) fail(path, `${category}: ${audit.title}: ${JSON.stringify(audit.details?.items ?? '').slice(0, 500)}`)
    }
  }
  const shift = median(results.map(({ audits }) => audits['cumulative-layout-shift'].numericValue ?? 0))
  if (shift > limits.shift) {
    const moved = results.flatMap(({ audits }) => audits['layout-shifts']?.details?.items ?? []).map(({ node, score }) => `${score.toFixed(3)} ${node?.selector}`)
    fail(path, `it jumps by ${shift.toFixed(3)}: ${[...new Set(moved)].join('; ').slice(0, 1000)}`)
  }
  const benchmark = median(results.map(({ environment }) => environment.benchmarkIndex))
  const performance = scored ? median(results.map(({ categories }) => categories.performance.score)) : undefined
  if (scored && benchmark > limits.benchmark && performance < limits.performance) {
    const took = metrics.map((id) => `${id} ${median(results.map(({ audits }) => Math.round(audits[id].numericValue)))}`)
    fail(path, `performance ${Math.round(performance * 100)}: ${took.join(', ')} ms`)
  }
  const told = scored ? `performance ${Math.round(performance * 100)} on a machine of ${Math.round(benchmark)}, ` : ''
  const [a, b] = ['accessibility', 'best-practices'].map((category) => Math.round(median(results.map(({ categories }) => categories[category].score)) * 100))
  return say(`${path.replace(/#.*/, '')}: accessibility ${a}, best practices ${b}, ${told}layout shift ${shift.toFixed(3)}`)
}

const begun = Date.now()
try {
  for (const page of pages) if (wanted.length === 0 || wanted.includes(page.path)) await look(page)
} finally {
  await browser.close()
  demo.close()
}
say(`lighthouse: ${pages.length} pages, ${runs} times each, ${failures} failures, ${Math.round((Date.now() - begun) / 1000)} s`)
process.exitCode = failures > 0 ? 1 : 0
