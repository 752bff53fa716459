import { expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { fingerprint, pairingFailure, readCode } from './pairing'

const pin = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'

it('reads the line of a core', () => {
  expect(readCode(` ownline-core://192.168.7.1:57329?pin=${pin}&token=secret\n`)).toEqual({ at: '192.168.7.1:57329', pin })
  expect(readCode(`ownline-core://dial?pin=${pin}&token=secret`)).toEqual({ at: '', pin })
})

it.each([
  '', 'https://example.org', `ownline-core://h:1?pin=${pin}`, `ownline-core://h:1?pin=${pin.slice(1)}&token=x`, 'ownline-core://h:1',
])('takes no other: %s', (line) => {
  expect(readCode(line)).toBeUndefined()
})

it('writes a fingerprint in groups', () => {
  expect(fingerprint(pin).split(' ')[0]).toBe('AAECAw')
  expect(fingerprint(pin).replaceAll(' ', '')).toBe(pin)
})

it.each([
  [503, 'pairing_silent', 'silent'],
  [422, 'pairing_old', 'old'],
  [422, 'pairing_used', 'used'],
  [422, 'pairing_not_newest', 'used'],
  [422, 'pairing_wrong_key', 'wrongKey'],
  [409, 'pairing_this_site', 'there'],
  [409, 'pairing_other_site', 'other'],
] as const)('tells why pairing failed: %i %s', (status, code, why) => {
  expect(pairingFailure(new Problem(status, '', [{ field: 'code', message: 'no', code }]))).toBe(why)
})
