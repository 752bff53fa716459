import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { es } from './es'
import { channelWhy, inSpanish, place } from './es/inner'
import { sentences } from './es/sentences'
import { translate } from './sentences'

interface Document {
  components: {
    schemas: {
      ErrorDetail: { properties: { code: { 'x-ownline-sentences': Record<string, string> } } }
      Session: { properties: { reason: { enum: string[] } } }
      Whoami: { properties: { kind: { enum: string[] } } }
    }
  }
}
const document = JSON.parse(readFileSync('../spec/openapi.json', 'utf8')) as Document
/** What the server says, by the codes that it gives. */
const said = document.components.schemas.ErrorDetail.properties.code['x-ownline-sentences']
const spanish: Record<string, string> = sentences
const places = (sentence: string | undefined) => (sentence?.match(/\{[a-z]+\}/g) ?? []).toSorted()

describe('sentences', () => {
  it('have words for every code that the server gives, and for no other', () => {
    expect(Object.keys(said).length).toBeGreaterThan(100)
    expect(Object.keys(spanish).toSorted()).toEqual(Object.keys(said).toSorted())
  })

  it.each(Object.entries(said))('say the same in Spanish: %s', (code, english) => {
    expect(spanish[code]).not.toBe(english)
    expect(spanish[code]).not.toMatch(/\b(the|is|must|not)\b|\.$/)
    // What the server names may be a way that the app does not have; no other place is left open.
    const left = places(spanish[code]).filter((open) => !places(english).includes(open))
    expect(left).toEqual([])
  })

  it('are said in the language in use', async () => {
    const make = () =>
      new Problem(422, 'name: no', [
        { field: 'password', message: 'is too short', code: 'password_short', params: { least: '12' } },
        { field: 'name', message: 'no word for it' },
      ])
    const problem = make()
    await translate(problem, 'es')
    expect(problem.fields.map(({ message }) => message)).toEqual([
      'es demasiado corta: al menos 12 caracteres, por ejemplo cuatro palabras', 'no word for it',
    ])
    const english = make()
    await translate(english, 'en')
    expect(english).toEqual(make())
  })

  it('say also what stands in their places, where that is ours', async () => {
    const problem = new Problem(409, '', [
      { field: 'session', message: 'has ended meanwhile (flushed)', code: 'session_ended', params: { reason: 'flushed' } },
      { field: 'source', message: '', code: 'core_source_not_public', params: { source: '10.0.0.1', kind: 'private' } },
      { field: 'ipv6_prefix', message: '', code: 'ipv6_prefix_lists', params: { lists: '2001:db8::/56 in that of the site; 2001:db8::/60 in that of the device my phone of ana; 3 more', bits: '48' } },
      { field: '', message: '', code: 'core_away_why', params: { why: 'read tcp: no route to host' } },
    ])
    await translate(problem, 'es')
    expect(problem.fields.map(({ message }) => message)).toEqual([
      'ha acabado entretanto (se cerraron todas)',
      '10.0.0.1 no es una dirección pública (es privada)',
      'es más corto que algunas redes de allowed_from, que no dejarían entrar a nadie: 2001:db8::/56 en la de la sede; 2001:db8::/60 en la del dispositivo my phone de ana; y 3 más; quítalas antes, o pon redes de 48 bits o menos',
      'no se llega al core de la sede: read tcp: no route to host',
    ])
  })

  it('of a newer server stay as it said them', async () => {
    const problem = new Problem(422, '', [{ field: 'a', message: 'is new', code: 'new_code' as never }])
    await translate(problem, 'es')
    expect(problem.fields[0]?.message).toBe('is new')
  })
})

/** The sentences in Go sources that a pattern finds, with something in their places. */
function inGo(file: string, ...patterns: RegExp[]): string[] {
  const source = readFileSync(`../internal/web/${file}`, 'utf8')
  const found = patterns.flatMap((pattern) => [...source.matchAll(pattern)].map(([, words]) => words ?? ''))
  expect(found.length, file).toBeGreaterThan(0)
  return found.map((words) => words.replaceAll('%d', '7').replaceAll(/%[svw]/g, 'X'))
}

describe('what stands in places', () => {
  const { Session, Whoami } = document.components.schemas
  it.each([
    ...Session.properties.reason.enum.map((word) => ['reason', word]),
    ...Whoami.properties.kind.enum.filter((kind) => kind !== 'public').map((word) => ['kind', word]),
    ...['sites/site.go', 'sites/cores.go']
      .flatMap((file) => inGo(file, /(?:noCore\((?:errors\.New|fmt\.Errorf)|lost)\("([^"]+)"/g, /(?:why = |return )"([a-z][^"]+)"/g))
      .map((words) => ['why', words]),
    ...inGo('access/origin.go', /fmt\.Sprintf\("(the [^"]+)"/g, /note\(\S+, "(the [^"]+)"/g).map((whose) => ['lists', `2001:db8::/56 in that of ${whose}`]),
  ])('is said in Spanish: %s, %s', (name, words) => {
    expect(place(name ?? '', words ?? '')).not.toBe(words)
  })

  it.each(inGo('notify/failure.go', /text: (?:fmt\.Sprintf\()?"([^"]+)"/g))('of a channel is said in Spanish: %s', (words) => {
    const spoken = inSpanish(channelWhy, words)
    expect(spoken).not.toBe(words)
    expect(es.settings.channelFailing(words)).toContain(spoken)
    expect(es.settings.testFailed('phone', words)).toContain(spoken)
  })
})
