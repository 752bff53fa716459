import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import * as devices from '@/api/devices'
import * as history from '@/api/history'
import * as invitations from '@/api/invitations'
import * as sessions from '@/api/sessions'
import { sampleDevice, sampleInvitation, sampleMe, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useDevices } from './devices'
import { useHistory } from './history'
import { useInvitations } from './invitations'
import { useSessions } from './sessions'

vi.mock('@/api/devices')
vi.mock('@/api/history')
vi.mock('@/api/invitations')
vi.mock('@/api/sessions')

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

/** How an admin who looks at everybody's stops being one here. */
const roads = {
  'another admin has demoted': () => void (useAccount().me = sampleMe({ role: 'user' })),
  'signed out and made room for somebody else': () => {
    useAccount().leave()
    useAccount().me = sampleMe({ id: 'bob-id' })
  },
  'whose sign-in has run out, and was followed by somebody else': () => {
    useAccount().expire()
    useAccount().me = sampleMe({ id: 'bob-id' })
  },
  'whose sign-in has run out, and was followed by another admin': () => {
    useAccount().expire()
    useAccount().me = sampleMe({ id: 'bob-id', role: 'admin' })
  },
}

it.for(Object.entries(roads))("shows nothing of everybody's after an admin %s, and loads what is one's own", async ([, go]) => {
  useAccount().me = sampleMe({ role: 'admin' })
  vi.mocked(sessions.listLive).mockResolvedValue([sampleSession({ user: 'carol-id' })])
  useSessions().everyone = true
  await useSessions().load()
  await useInvitations().show(true)
  go()
  for (const store of [useSessions(), useInvitations()]) expect([store.everyone, store.all, store.state]).toEqual([false, [], 'idle'])
  await Promise.all([useSessions().load(), useInvitations().load()])
  for (const list of [sessions.listLive, invitations.listInvitations]) expect(list).toHaveBeenLastCalledWith(false)
})
