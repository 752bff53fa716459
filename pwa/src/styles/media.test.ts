import { expect, it } from 'vitest'

/** Everything that is asked of the window: an arrangement in pixels would not follow the browser's size of text. */
const sources = import.meta.glob<string>(['../**/*.{vue,css,ts}', '../../guest/**/*.{vue,css,ts}', '!../**/*.test.ts'], {
  query: '?raw', import: 'default', eager: true,
})

it('asks how much text the window has room for, and never for pixels', () => {
  const asked = Object.entries(sources).flatMap(([path, text]) =>
    [...text.matchAll(/(?:@media|@container|matchMedia\()([^{\n]*)/g)].map(([, query = '']) => ({ path, query })),
  )
  const measured = asked.filter(({ query }) => /\b(?:width|height)\b/.test(query))
  expect(measured.length).toBeGreaterThan(20)
  expect(measured.filter(({ query }) => /\dpx/.test(query))).toEqual([])
})
