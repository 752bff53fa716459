import { expect, it } from 'vitest'
import { bytes, countdown, length, minutesLeft, sourceText } from './format'

it.each([
  [1_199_000, '19:59'],
  [1_198_001, '19:59'],
  [59_000, '00:59'],
  [1, '00:01'],
  [0, '00:00'],
  [-5000, '00:00'],
  [3_600_000, '1:00:00'],
  [3_849_000, '1:04:09'],
])('counts %i ms down as %s', (left, text) => {
  expect(countdown(left)).toBe(text)
})

it.each([
  [1_199_000, 20],
  [60_000, 1],
  [1, 1],
  [0, 0],
  [-1, 0],
])('rounds %i ms up to %i minutes', (left, minutes) => {
  expect(minutesLeft(left)).toBe(minutes)
})

it.each([
  [1_800_000, '30 min'],
  [1_799_600, '30 min'],
  [14_400_000, '4 h'],
  [5_400_000, '1 h 30 min'],
  [2000, '1 min'],
])('writes a length of %i ms as %s', (span, text) => {
  expect(length(span)).toBe(text)
})

it.each([
  ['203.0.113.24/32', '203.0.113.24'],
  ['203.0.113.0/24', '203.0.113.0/24'],
  ['2001:db8::1/128', '2001:db8::1'],
  ['2001:db8:7:1::/64', '2001:db8:7:1::/64'],
  ['2001:db8::/32', '2001:db8::/32'],
])('writes the source %s as %s', (source, text) => {
  expect(sourceText(source)).toBe(text)
})

it.each([
  ['en', 0, '0 B'],
  ['es', 999, '999 B'],
  ['en', 114_000, '114 kB'],
  ['en', 1_240_000_000, '1.2 GB'],
])('writes in %s an amount of %i bytes as %s', (locale, n, text) => {
  expect(bytes(locale, n).replaceAll('\u00A0', ' ')).toBe(text)
})
