import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import * as devices from '@/api/devices'
import * as history from '@/api/history'
import * as invitations from '@/api/invitations'
import { sampleDevice, sampleInvitation, sampleMe, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useDevices } from './devices'
import { useHistory } from './history'
import { useInvitations } from './invitations'

vi.mock('@/api/devices')
vi.mock('@/api/history')
vi.mock('@/api/invitations')

beforeEach(async () => {
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
  useAccount().state = 'in'
  vi.mocked(devices.listDevices).mockResolvedValue([sampleDevice()])
  vi.mocked(history.historyPage).mockResolvedValue({ items: [sampleSession({ state: 'ended' })], next: undefined })
  vi.mocked(invitations.listInvitations).mockResolvedValue([sampleInvitation()])
  await Promise.all([useDevices().load(), useHistory().show({}), useInvitations().show(true)])
})

const known = () => [useDevices(), useInvitations()].map(({ state, all }) => `${state} ${all.length}`).concat(`${useHistory().state} ${useHistory().sessions.length}`)

it('leaves nothing to whoever signs in next', async () => {
  useAccount().leave()
  expect(known()).toEqual(['idle 0', 'idle 0', 'idle 0'])
  useAccount().me = sampleMe({ id: 'bob-id' })
  vi.mocked(history.historyPage).mockResolvedValue({ items: [], next: undefined })
  await useHistory().show({}, true)
  expect(useHistory().sessions).toEqual([])
  await useInvitations().load()
  expect(invitations.listInvitations).toHaveBeenLastCalledWith(false)
})

it('leaves nothing to somebody else whose sign-in follows one that has run out', () => {
  useAccount().expire()
  useAccount().me = sampleMe({ id: 'bob-id' })
  expect(known()).toEqual(['idle 0', 'idle 0', 'idle 0'])
})

it('keeps all for who signs in again', () => {
  useAccount().expire()
  useAccount().me = sampleMe()
  expect(known()).toEqual(['ready 1', 'ready 1', 'ready 1'])
})
