import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { sentences } from './es/sentences'
import { translate } from './sentences'

interface Document {
  components: { schemas: { ErrorDetail: { properties: { code: { 'x-ownline-sentences': Record<string, string> } } } } }
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
    const left = places(spanish[code]).filter((place) => !places(english).includes(place))
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

  it('of a newer server stay as it said them', async () => {
    const problem = new Problem(422, '', [{ field: 'a', message: 'is new', code: 'new_code' as never }])
    await translate(problem, 'es')
    expect(problem.fields[0]?.message).toBe('is new')
  })
})
