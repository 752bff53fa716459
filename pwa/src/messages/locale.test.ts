import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import { localeOf, useLanguage } from '.'

const speaks = (...tags: string[]) => vi.spyOn(navigator, 'languages', 'get').mockReturnValue(tags)

beforeEach(() => setActivePinia(createPinia()))

it.each([
  [['en-GB', 'en-US', 'en'], 'en', 'en-GB'],
  [['de-CH', 'es-MX', 'es'], 'es', 'es-MX'],
  [['de-CH'], 'en', 'en'],
  // Told by some systems; no tag that anything could be written by.
  [['en-US@posix'], 'en', 'en'],
] as const)('of a browser that speaks %j, %s is written as in %s', (tags, language, locale) => {
  speaks(...tags)
  expect(localeOf(language)).toBe(locale)
})

it('tells the time as it is told there', () => {
  const afternoon = new Date(2030, 4, 3, 14, 2)
  speaks('en-GB')
  expect(useLanguage().clockTime(afternoon)).toBe('14:02')
  setActivePinia(createPinia())
  speaks('en-US')
  expect(useLanguage().clockTime(afternoon)).toMatch(/^0?2:02\sPM$/)
})
