import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { countriesOf, mostOrigins, originTrouble, sayOrigins, textOf, wordsOf } from './origins'

describe('a list of origins', () => {
  it('is written with blanks, commas or lines between', () => {
    expect(wordsOf(' ES,PT;\n AS3352  198.51.100.0/24, ')).toEqual(['ES', 'PT', 'AS3352', '198.51.100.0/24'])
    expect(wordsOf('')).toEqual([])
    expect(textOf(['ES', '198.51.100.0/24'])).toBe('ES, 198.51.100.0/24')
    expect(textOf(undefined)).toBe('')
  })

  it('is read with the names of countries', () => {
    expect(sayOrigins('en', ['ES', 'AS3352', '2001:db8::/32'])).toBe('Spain, AS3352, 2001:db8::/32')
    expect(sayOrigins('es', ['ES'])).toBe('España')
    expect(sayOrigins('en', null)).toBe('')
    expect(countriesOf('en', ['es', 'ES', 'AS3352', '198.51.100.0/24'])).toEqual(['ES Spain'])
  })

  it('is named by what the server has against it', () => {
    expect(originTrouble(new Problem(422, '', [{ field: 'name', message: 'x' }, { field: 'allowed_from', message: 'y' }]))).toBe('y')
    expect(originTrouble(new Problem(422, '', [{ field: 'name', message: 'x' }]))).toBeUndefined()
  })

  it('are as many as the server takes', () => {
    expect(readFileSync('../internal/ownline/origins.go', 'utf8')).toContain(`MostOrigins = ${mostOrigins}`)
  })
})
