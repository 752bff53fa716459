import { expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { es } from './es'
import { sayProblem } from './problem'

it('tells that the address is refused, not the person', () => {
  const elsewhere = new Problem(403, '', [{ field: 'source', message: '198.51.100.7 is refused by the policy in web.yaml' }])
  expect(sayProblem(es, elsewhere)).toBe('No se puede abrir nada para esta dirección.')
  expect(sayProblem(es, new Problem(403))).toBe('No puedes hacer eso.')
})
