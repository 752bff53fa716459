import { expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { en } from './en'
import { es } from './es'
import { sayProblem } from './problem'

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
  expect(sayProblem(en, refused)).toBe(en.problem.refused('is taken'))
  expect(sayProblem(en, new Problem(409, 'it is taken'))).toBe(en.problem.refused('it is taken'))
})
