import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import { rounded } from './glyphs.ts'

const library = createRequire(import.meta.url)('@mdi/js') as Record<string, string>
const numbers = (path: string) => (path.match(/\d+(?:\.\d+)?/g) ?? []).map(Number)

it('rounds places, and nothing else', () => {
  expect(rounded('M13.65 11.24H15.41A0.5,0.5 0 0,1 17.96,3Z')).toBe('M13.7 11.2H15.4A0.5,0.5 0 0,1 18,3Z')
})

it('leaves alone what names distances, or numbers that touch', () => {
  for (const path of ['M1.23 4l5.67 8', 'M1.96.04']) expect(rounded(path)).toBe(path)
})

it('moves no point of the library by more than anybody sees', () => {
  const paths = Object.values(library)
  expect(paths.length).toBeGreaterThan(7000)
  const far = paths.filter((path) => {
    const before = numbers(path)
    const after = numbers(rounded(path))
    return after.length !== before.length || after.some((one, at) => Math.abs(one - (before[at] ?? 0)) > 0.0501)
  })
  expect(far).toEqual([])
})
