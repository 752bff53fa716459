import { describe, expect, it } from 'vitest'
import { en } from './en'
import { es } from './es'

/** Every message by its path; functions are called with the same arguments in all languages. */
function flat(value: unknown, path = ''): Map<string, string> {
  if (typeof value === 'string') return new Map([[path, value]])
  if (typeof value === 'function') {
    const texts = ['A', 'B', 'C', 'D']
    const numbers = [2, 3]
    for (const samples of [texts, numbers, ['A', 2], [['A', 'B']]]) {
      try {
        return new Map([[path, String(value(...samples))]])
      } catch {
        // Not what this message is made of.
      }
    }
    throw new Error(`no arguments fit ${path}`)
  }
  const all = new Map<string, string>()
  for (const [key, inner] of Object.entries(value as object)) {
    for (const entry of flat(inner, path ? `${path}.${key}` : key)) all.set(...entry)
  }
  return all
}

const english = flat(en)
const spanish = flat(es)
/** The same word in both languages. */
const same = new Set([
  'address.badgeIPv6',
  'app.name',
  'icon.names.api',
  'icon.names.chat',
  'icon.names.dns',
  'icon.names.git',
  'icon.names.radio',
  'icon.names.robot',
  'icon.names.router',
  'icon.names.rss',
  'icon.names.terminal',
  'icon.names.vpn',
  'icon.names.wiki',
  'problem.field',
  'sessionSheet.traffic',
  'settings.tokenValue',
  'settings.versionOf',
  'site.took',
  'siteAdmin.codeHost',
  'siteAdmin.took',
  'siteAdmin.version',
])

describe('messages', () => {
  it('exist in both languages', () => {
    expect([...spanish.keys()].toSorted()).toEqual([...english.keys()].toSorted())
    expect(english.size).toBeGreaterThan(80)
  })

  it('say something', () => {
    for (const [key, text] of [...english, ...spanish]) {
      expect(text.trim(), key).not.toBe('')
      expect(text, key).not.toMatch(/undefined|NaN|\[object/)
    }
  })

  it('are translated', () => {
    const left = [...english].filter(([key, text]) => !same.has(key) && spanish.get(key) === text)
    expect(left).toEqual([])
  })

  it('agree with numbers', () => {
    expect(en.session.count(1)).toBe('1 session')
    expect(en.session.count(3)).toBe('3 sessions')
    expect(es.session.minutesLeft(1)).toBe('queda 1 minuto')
    expect(es.session.minutesLeft(2)).toBe('quedan 2 minutos')
    expect(es.site.down(['Casa', 'Playa'])).toContain('Casa y Playa')
  })
})
