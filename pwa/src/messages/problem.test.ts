import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { en } from './en'
import { es } from './es'
import { sentences } from './es/sentences'
import { atField, lacksSubject, sayProblem } from './problem'

it('tells that the address is refused, not the person', () => {
  const elsewhere = new Problem(403, '', [{ field: 'source', message: '198.51.100.7 is refused by the policy in web.yaml' }])
  expect(sayProblem(es, elsewhere)).toBe('No se puede abrir nada para esta dirección.')
  expect(sayProblem(es, new Problem(403))).toBe('No puedes hacer eso.')
})

it('does not say that nothing was changed when nobody knows', () => {
  for (const status of [0, 502, 504]) {
    expect(sayProblem(en, new Problem(status))).toBe("Ownline can't be reached from here.")
    expect(sayProblem(es, new Problem(status))).toBe(es.app.unreachable)
  }
  for (const status of [401, 500, 503]) expect(new Problem(status).unreachable).toBe(false)
})

it('says of the core alone that the core did not answer', () => {
  const by = (message: string, code?: 'core_away') => new Problem(503, '', [{ field: '', message, code }])
  expect(sayProblem(en, by("the site's core can't be reached", 'core_away'))).toBe(en.problem.core)
  expect(sayProblem(es, by('the database does not answer'))).toBe(es.problem.silent)
})

it('leaves out the name that a field has in the API', () => {
  const refused = new Problem(422, 'name: is taken', [{ field: 'name', message: 'is taken' }])
  expect(sayProblem(en, refused)).toBe('Ownline refused what you entered: it is taken.')
  expect(sayProblem(en, new Problem(409, 'it is taken'))).toBe(en.problem.refused('it is taken'))
})

it('takes a path with no identifier for one of nothing', () => {
  const answer = new Response(undefined, { status: 422 })
  const errors = [{ location: 'path.id', message: 'expected string to be RFC 4122 uuid' }]
  expect(Problem.from(answer, { errors }).status).toBe(404)
  expect(Problem.from(answer, { errors: [{ ...errors[0], location: 'body.id' }] }).status).toBe(422)
})

const { components } = JSON.parse(readFileSync('../spec/openapi.json', 'utf8')) as {
  components: { schemas: { ErrorDetail: { properties: { code: { 'x-ownline-sentences': Record<string, string> } } } } }
}
const said = Object.entries(components.schemas.ErrorDetail.properties.code['x-ownline-sentences'])
/** How a sentence begins that stands by itself: with what it is about. */
const whole = {
  en: /^(?:the|web|its|this|that|you|it|there|nothing|another|every|devices|port|proxied|proxy needs|names must|what|not a|opens|closes|and|["{])/,
  es: /^(?:el|la|los|las|al|su|este|esta|lo|hay|tienes|todos|ningún|cada|[«{])/,
}

it.each(said)('has a subject at a field, its label or its own: %s', (code, english) => {
  for (const [t, words, subject] of [[en, english, whole.en], [es, (sentences as Record<string, string>)[code] ?? '', whole.es]] as const) {
    const shown = atField(t, t.user.name, words)
    const lacks = lacksSubject(words)
    expect(subject.test(words), words).toBe(!lacks)
    expect(shown.includes(words)).toBe(lacks || /^[^a-záéíóú]/.test(words))
    expect(shown).toMatch(/^[^a-záéíóú]/)
    expect(shown).toMatch(/[.?!]$/)
  }
})

it('reads right at a field', () => {
  expect(atField(en, 'Name', "is another user's already")).toBe("Name is another user's already.")
  expect(atField(es, 'Nombre', 'ya es de otro usuario')).toBe('«Nombre» ya es de otro usuario.')
  expect(atField(en, 'Name', '"x" is taken')).toBe('"x" is taken.')
})
