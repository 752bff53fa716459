import { expect, it } from 'vitest'

// The source of every part of the app, by its path.
const sources = new Map(
  Object.entries(import.meta.glob<string>('../**/*.{ts,vue}', { query: '?raw', import: 'default', eager: true })).map(
    ([path, text]) => [path.replace('../', ''), text],
  ),
)

const packed = {
  audit: ['audit'],
  broker: ['broker'],
  client: ['client'],
  device: ['device'],
  grant: ['grant'],
  history: ['history'],
  invitation: ['invitation'],
  origins: ['origins'],
  refusal: ['refusal'],
  services: ['icon', 'serviceForm'],
  settings: ['settings'],
  setup: ['setup'],
  sheet: ['serviceSheet', 'sessionSheet'],
  siteAdmin: ['siteAdmin'],
  user: ['user'],
}
type Pack = keyof typeof packed

/** Where an import leads, as a path below src; nothing for a library. */
function target(from: string, name: string): string | undefined {
  if (!/^[.@]\/|^\.\.\//.test(name)) return undefined
  const path = name.startsWith('@/') ? name.slice(2) : new URL(name, `file:///${from}`).pathname.slice(1)
  return [path, `${path}.ts`, `${path}/index.ts`].find((each) => sources.has(each))
}

/** All that a part brings along; a page that brings words is where another walk begins. */
function reach(start: string, pages: Map<string, Set<Pack>>): Set<string> {
  const seen = new Set([start])
  for (const path of seen) {
    // What is only fetched ahead is not used yet, so it says nothing.
    const used = (sources.get(path) ?? '').replaceAll(/\bimport\('[^']+'\)\.catch\(/g, '(')
    const text = used.replaceAll(
      /withWords\('(\w+)', \(\) => import\('([^']+)'\)\)/g,
      (_, pack: Pack, name: string) => {
        const page = target(path, name)
        if (page) pages.set(page, (pages.get(page) ?? new Set()).add(pack))
        return ''
      },
    )
    // What is fetched early is shown by its route, which brings the words.
    const shown = text.replaceAll(/if \(location\.pathname === '\/\w*'\) import\('[^']+'\)/g, '')
    for (const [, name] of shown.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
      const next = target(path, name ?? '')
      if (next && !next.startsWith('messages/')) seen.add(next)
    }
  }
  return seen
}

/** The areas that a part says something of: `t.area`, `t.value.area`. */
function said(path: string): Set<string> {
  const text = (sources.get(path) ?? '').replaceAll(/title: \(t\) => .*/g, '')
  return new Set([...text.matchAll(/\bt\.(?:value\.)?(\w+)/g)].map(([, area]) => area ?? ''))
}

it('are said by no part without the page that brings them', () => {
  const pages = new Map<string, Set<Pack>>()
  const starts: [string, Set<Pack>][] = [['main.ts', new Set()]]
  const firsts = reach('main.ts', pages)
  expect(firsts.size).toBeGreaterThan(100)
  expect(pages.size).toBeGreaterThan(15)
  for (const [page, packs] of pages) starts.push([page, packs])
  const missing: string[] = []
  for (const [start, packs] of starts) {
    for (const path of reach(start, pages)) {
      for (const area of said(path)) {
        const pack = (Object.keys(packed) as Pack[]).find((each) => packed[each].includes(area))
        if (pack && !packs.has(pack)) missing.push(`${start}: ${path} says ${area}, of the pack ${pack}`)
      }
    }
  }
  expect(missing).toEqual([])
})
