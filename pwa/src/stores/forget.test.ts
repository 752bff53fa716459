import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import { brokers } from '@/api/broker'
import { onSignedOut } from '@/api/client'
import * as devices from '@/api/devices'
import * as history from '@/api/history'
import * as invitations from '@/api/invitations'
import { Problem } from '@/api/problem'
import { listRefusals } from '@/api/refusals'
import * as sessions from '@/api/sessions'
import { whoami } from '@/api/whoami'
import { at, sampleDevice, sampleInvitation, sampleMe, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useAddress } from './address'
import { useBroker } from './broker'
import { useDevices } from './devices'
import { useHistory } from './history'
import { useInvitations } from './invitations'
import { useNotices } from './notices'
import { useRefusals } from './refusals'
import { useSessions } from './sessions'
import { useSites } from './sites'

vi.mock('@/api/broker')
vi.mock('@/api/devices')
vi.mock('@/api/history')
vi.mock('@/api/invitations')
vi.mock('@/api/refusals')
vi.mock('@/api/sessions')
vi.mock('@/api/whoami')

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

it('leaves no address, round trips, failures or toasts, but what a toast says of the app', async () => {
  vi.mocked(whoami).mockResolvedValue({ address: '203.0.113.24', family: 4, forwarded: false, kind: 'public' })
  await useAddress().load()
  useAddress().last = '203.0.113.24/32'
  useSites().roundTrips.set('home-id', 12)
  useSessions().failures.set('nas-id', new Problem(409))
  const notices = useNotices()
  notices.show('A new version is there', [], { stays: true })
  notices.show('nas is closed', [{ label: 'Undo', run: () => {} }])
  notices.show('photos was not opened', [], { bad: true })
  useAccount().expire()
  useAccount().me = sampleMe({ id: 'bob-id' })
  expect([useAddress().state, useAddress().here, useAddress().last]).toEqual(['idle', undefined, undefined])
  expect([useSites().roundTrips.size, useSessions().failures.size]).toEqual([0, 0])
  expect(notices.shown.map(({ text }) => text)).toEqual(['A new version is there'])
  expect([notices.polite, notices.assertive]).toEqual(['', ''])
})

it('does not go on hiding what the one before has closed', async () => {
  const session = sampleSession({ expires: new Date(Date.now() + 60_000).toISOString() })
  const ended = { ...session, state: 'ended', reason: 'closed', ended: new Date().toISOString() } as const
  vi.mocked(sessions.closeSession).mockResolvedValue(ended)
  vi.mocked(sessions.listLive).mockResolvedValue([ended])
  await useSessions().close(session)
  expect(useSessions().shown).toEqual([])
  useAccount().leave()
  useAccount().me = sampleMe()
  await useSessions().load()
  expect(useSessions().shown).toHaveLength(1)
})

it.for(['demoted', 'gone'])('keeps nothing of refusals and brokers for an admin who is %s', async (how) => {
  useAccount().me = sampleMe({ role: 'admin' })
  vi.mocked(listRefusals).mockResolvedValue([
    { reason: 'replayed', number: 1, first: at(0), latest: at(0), site: 'home-id' } as Awaited<ReturnType<typeof listRefusals>>[0],
  ])
  vi.mocked(brokers).mockResolvedValue({} as Awaited<ReturnType<typeof brokers>>)
  await Promise.all([useRefusals().load(7, ''), useBroker().load()])
  expect([useRefusals().all.length, useBroker().state]).toEqual([1, {}])
  const late = useBroker().load()
  useAccount().me = how === 'gone' ? undefined : sampleMe()
  await late
  expect([useRefusals().all, useRefusals().state, useBroker().state]).toEqual([[], 'idle', undefined])
})

it.for([
  ['is done', 200],
  ['is refused', 409],
  ['finds them signed out', 401],
  ['finds nobody', 0],
] as const)('tells the next person nothing of what the one before asked, where that %s', async ([, status]) => {
  const real = await vi.importActual<typeof sessions>('@/api/sessions')
  vi.mocked(sessions.openSession).mockImplementation(real.openSession)
  const expired = vi.fn<() => void>()
  onSignedOut(expired)
  let answer: (() => Response | Promise<Response>) | undefined
  vi.stubGlobal('fetch', async () => {
    await vi.waitUntil(() => answer)
    return answer?.()
  })
  const opened = useSessions().open({ id: 'photos-id', name: 'photos' })
  await vi.waitFor(() => expect(useSessions().opening.size).toBe(1))
  useAccount().expire()
  useAccount().me = sampleMe({ id: 'bob-id' })
  answer = () =>
    status === 0
      ? Promise.reject(new TypeError('failed to fetch'))
      : new Response(JSON.stringify(sampleSession()), { status, headers: { 'Content-Type': 'application/json' } })
  expect(await opened).toBe(false)
  expect([useNotices().shown, useSessions().all, useSessions().failures.size, useSessions().opening.size]).toEqual([[], [], 0, 0])
  expect(expired).not.toHaveBeenCalled()
  vi.unstubAllGlobals()
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
