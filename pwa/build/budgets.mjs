// Holds the built app to its budgets, as transferred: gzip, where that makes a file smaller.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const dist = process.env.DIST ?? fileURLToPath(new URL('../../internal/web/ui/dist', import.meta.url))
const guests = fileURLToPath(new URL('../../internal/web/guestpage/dist', import.meta.url))
const limits = { first: 110, requests: 12, page: 25, client: 120, kept: 800 }

const say = (line) => process.stdout.write(`${line}\n`)
const read = (file) => readFileSync(join(dist, file))
/** What the page for guests consists of, as files of its own folder. */
function guestFiles() {
  const html = readFileSync(join(guests, 'index.html')).toString()
  const glyphs = `assets/${readdirSync(join(guests, 'assets')).find((file) => file.startsWith('glyphs-'))}` // of the service's icon
  return ['index.html', ...[...html.matchAll(/<(?:link|script)[^>]*?(?:href|src)="\.\/([^"]+)"/g)].map(([, file]) => file), glyphs].map((file) => join(guests, file))
}
const sizes = new Map()
function size(file) {
  if (!sizes.has(file)) {
    const whole = file.startsWith('/') ? readFileSync(file) : read(file)
    sizes.set(file, Math.min(whole.length, gzipSync(whole, { level: 9 }).length))
  }
  return sizes.get(file)
}
const kilobytes = (files) => files.reduce((sum, file) => sum + size(file), 0) / 1000

const html = read('index.html').toString()
// The icon for home screens is fetched when the app is installed.
const linked = [...html.matchAll(/<(?:link|script)[^>]*?(?:href|src)="\/([^"]+)"[^>]*>/g)]
  .filter(([tag]) => !tag.includes('apple-touch-icon'))
  .map(([, file]) => file)
const first = ['index.html', ...linked]

const scripts = readdirSync(join(dist, 'assets')).filter((file) => file.endsWith('.js'))
/** What each import on demand fetches, by its script. */
const demanded = new Map()
for (const script of scripts) {
  const text = read(`assets/${script}`).toString()
  const list = JSON.parse(/m\.f=(\[[^\]]*\])/.exec(text)?.[1] ?? '[]')
  for (const [, file, numbers] of text.matchAll(/import\([`'"]\.\/([^`'"]+)[`'"]\)(?:\.then\([^)]*\))?(?:,__vite__mapDeps\(\[([\d,]*)\]\))?/g)) {
    const files = (numbers ?? '').split(',').filter(Boolean).map((n) => list[Number(n)])
    demanded.set(file, [...new Set([...(demanded.get(file) ?? [`assets/${file}`]), ...files])])
  }
}
const named = (name) => [...demanded.keys()].find((file) => file.startsWith(`${name}-`))
const load = (name) => {
  const file = named(name)
  if (!file) throw new Error(`the build has no ${name}: is it built?`)
  return demanded.get(file)
}

let broken = 0
function hold(what, files, limit, requests = Infinity) {
  const all = [...new Set(files)]
  const total = kilobytes(all)
  const over = total > limit || all.length > requests
  const count = requests < Infinity ? `, ${all.length} of ${requests} requests` : ''
  say(`${over ? 'OVER' : 'ok  '} ${what}: ${total.toFixed(1)} of ${limit} KB${count}`)
  if (!over && !process.argv.includes('--files')) return
  if (over) broken++
  for (const file of all.toSorted((a, b) => size(b) - size(a))) say(`       ${(size(file) / 1000).toFixed(1).padStart(6)} KB  ${file}`)
}

/** The words that come with each page, by the page's name: see withWords. */
const packOf = new Map()
for (const file of ['router.ts', 'pages/admin/routes.ts', 'pages/settings/routes.ts']) {
  const text = readFileSync(fileURLToPath(new URL(`../src/${file}`, import.meta.url))).toString()
  for (const [, pack, path] of text.matchAll(/withWords\('(\w+)', \(\) => import\('([^']+)\.vue'\)\)/g)) packOf.set(path.replace(/^.*\//, ''), pack)
}
/** The files of that name, the larger language first. */
const inBoth = (name) => [...demanded.keys()].filter((file) => file.replace(/-[\w-]{8}\.js$/, '') === name).map((file) => `assets/${file}`).toSorted((a, b) => size(b) - size(a))
const words = (page) => (packOf.has(page) ? inBoth(packOf.get(page)).slice(0, 1) : [])

// The words of a language are a file each, which is told by its words.
const inLanguage = (sign) => inBoth('first').filter((file) => read(file).toString().includes(sign))
for (const [language, files] of [['English', inLanguage('Sign in to Ownline')], ['Spanish', inLanguage('Entrar')]]) {
  if (files.length !== 1) throw new Error(`the words of ${language} are in ${files.length} files`)
  hold(`first load of / in ${language}`, [...first, ...load('HomePage'), ...load('glyphs'), ...files], limits.first, limits.requests)
  hold(`first load of /login in ${language}`, [...first, ...load('LoginPage'), ...files], limits.first, limits.requests)
}
hold('first load of /i', guestFiles(), limits.first, limits.requests)
// A further page is all that the first load did not bring: its own, its words, and what it shares with
// others, as if it were the only one that anybody went to. The Client page's own holds MQTT, and is larger for it.
const begun = new Set([...first, ...load('HomePage'), ...load('glyphs'), ...inBoth('first')])
for (const file of demanded.keys()) {
  const name = file.replace(/-[\w-]{8}\.js$/, '')
  if (!/(?:Page|Sheet|Detail)$/.test(name)) continue
  const all = [...demanded.get(file), ...words(name)].filter((each) => !begun.has(each))
  const own = name === 'ClientPage' ? all.filter((each) => /\/(?:ClientPage|client)-/.test(each)) : []
  if (own.length > 0) hold('ClientPage, its own', [...own, ...load('mqtt.esm')], limits.client)
  hold(name, all.filter((each) => !own.includes(each)), limits.page)
}
const kept = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== 'licences.txt' && !entry.name.endsWith('.webp'))
  .map((entry) => join(entry.parentPath, entry.name).slice(dist.length + 1))
hold('kept on the device', kept, limits.kept)

if (broken) {
  say(`${broken} over the budget; make it smaller, or load it later.`)
  process.exit(1)
}
