import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it } from 'vitest'
import { useAccount } from '@/stores/account'
import { sampleMe, sampleSession } from '@/testing/samples'
import { useWhy } from './why'

beforeEach(() => {
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
})

it.each([
  ['by oneself', { reason: 'closed', ended_by: 'ana-id', ended_by_name: 'ana' }, 'Closed by you'],
  ['by an admin', { reason: 'closed', ended_by: 'marc-id', ended_by_name: 'marc' }, 'Closed by marc'],
  ['by the guest', { reason: 'closed', guest: true }, 'Closed by the guest'],
  ['before it was told by whom', { reason: 'closed' }, 'Closed by hand'],
  ['when access was withdrawn', { reason: 'revoked', ended_by: 'marc-id', ended_by_name: 'marc' }, 'Access was withdrawn'],
  ['by itself', { reason: 'expired' }, 'Time was up'],
] as const)('tells of a session that ended %s', (_, change, words) => {
  expect(useWhy()(sampleSession({ state: 'ended', ...change }))).toBe(words)
})
