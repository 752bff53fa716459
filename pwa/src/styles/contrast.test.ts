import { expect, it } from 'vitest'
import css from './tokens.css?raw'

type Ground = 'light' | 'dark'

const colours = new Map<string, Record<Ground, string>>()
for (const [, name, light, dark] of css.matchAll(
  /--([a-z0-9-]+): light-dark\((#[0-9A-F]{6}), (#[0-9A-F]{6})\)/g,
)) {
  if (name && light && dark) colours.set(name, { light, dark })
}
for (const [, name, tint] of css.matchAll(/--(tint-\d): (#[0-9A-F]{6})/g)) {
  if (name && tint) colours.set(name, { light: tint, dark: tint })
}

/** Relative luminance, WCAG 2.2. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].toSorted((x, y) => y - x)
  return (high + 0.05) / (low + 0.05)
}

function colour(name: string, ground: Ground): string {
  const found = name.startsWith('#') ? name : colours.get(name)?.[ground]
  if (!found) throw new Error(`no colour ${name}`)
  return found
}

const grounds = ['bg', 'surface', 'sunk']
const tints = [0, 1, 2, 3, 4, 5, 6, 7]
/** What stands on what, and how much they must differ. */
const pairs: [string, string, number][] = [
  ...grounds.flatMap((ground): [string, string, number][] => [
    ['text', ground, 7],
    ['muted', ground, 4.5],
    ['accent', ground, 4.5],
    ['bad', ground, 4.5],
    ['control', ground, 3],
  ]),
  ...tints.map((n): [string, string, number] => ['#FFFFFF', `tint-${n}`, 4.5]),
  ['on-accent', 'accent', 4.5],
  ['on-accent-soft', 'accent-soft', 4.5],
  ['accent', 'accent-soft', 3],
  ['on-bad', 'bad', 4.5],
  ['ok', 'ok-soft', 4.5],
  ['warn', 'warn-soft', 4.5],
  ['bad', 'bad-soft', 4.5],
  ['text', 'warn-soft', 7],
  ['muted', 'warn-soft', 4.5],
  ['accent', 'warn-soft', 4.5],
  ['on-toast', 'toast', 7],
  ['toast-action', 'toast', 4.5],
]

for (const ground of ['light', 'dark'] as const) {
  it.each(pairs)(`${ground}: %s on %s differs by %d`, (over, under, least) => {
    expect(contrast(colour(over, ground), colour(under, ground))).toBeGreaterThanOrEqual(least)
  })
}
