import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import * as api from '@/api/sessions'
import { at, sampleSession } from '@/testing/samples'
import { useRecent } from './recent'

vi.mock('@/api/sessions')
beforeEach(() => setActivePinia(createPinia()))

it('has what a knock opened by IPv4 and IPv6 once, and as many of them as of others', async () => {
  const knocks = Array.from({ length: 8 }, (_, n) => {
    const one = { state: 'ended', reason: 'expired', device: 'phone-id', opened: at(-n * 3_600_000), expires: at(-n * 3_600_000 + 1), ended: at(-n * 3_600_000 + 1) } as const
    return [sampleSession({ id: `four${n}`, ...one }), sampleSession({ id: `six${n}`, ...one, source: '2001:db8:7:1::/64' })]
  })
  vi.mocked(api.listEnded).mockResolvedValue(knocks.flat())
  const recent = useRecent()
  await recent.load()
  expect(api.listEnded).toHaveBeenCalledWith(16)
  expect(recent.last.map(({ id }) => id)).toEqual(knocks.map((_, n) => `four${n}`))
})
