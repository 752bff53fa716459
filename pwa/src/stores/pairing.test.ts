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

// The words are those of internal/core/pairing.go and internal/web/sites/pair.go.
it.each([
  [503, 'its core was not met at 192.168.7.1:57329', 'silent'],
  [422, 'the code is older than 10 minutes; run `ownline-core pair` again', 'old'],
  [422, 'the code was used already, or core was started again since', 'used'],
  [422, 'the code is not the newest one', 'used'],
  [422, 'what answers at 192.168.7.1:57329 has not the key of the code: either', 'wrongKey'],
  [409, 'is of a core that is the site home already', 'other'],
] as const)('tells why pairing failed: %i %s', (status, message, why) => {
  expect(pairingFailure(new Problem(status, '', [{ field: 'code', message }]))).toBe(why)
})
