import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, nextTick } from 'vue'
import type { Changes } from '@/api/events'
import { makeRouter } from '@/router'
import { at, noon, sampleMe, sampleSession, sampleSite } from '@/testing/samples'
import { useAccount } from './account'
import { useAlerts } from './alerts'
import { useLive } from './live'
import { useSessions } from './sessions'
import { useSites } from './sites'
import { useTelling } from './telling'

let follower: { [Kind in 'session' | 'site' | 'refusal' | 'login']: (change: Changes[Kind]) => void }
let leave: () => void

function tell() {
  return vi.mocked(useAlerts().tell)
}

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
  // Else the router asks who is signed in, and nobody answers.
  useAccount().state = 'in'
  useSites().seed([sampleSite()])
  vi.spyOn(useAlerts(), 'tell').mockResolvedValue()
  vi.spyOn(useLive(), 'follow').mockImplementation((told) => {
    follower = told as typeof follower
    return () => undefined
  })
  const page = defineComponent({ setup: useTelling, template: '<p />' })
  const shown = mount(page, { global: { plugins: [makeRouter()] } })
  leave = () => shown.unmount()
})
afterEach(() => {
  leave()
  vi.useRealTimers()
})

describe('a hidden page tells', () => {
  it('once of a session of mine that was opened, and leads to it', () => {
    const session = sampleSession({ opened: at(-1000) })
    follower.session(session)
    follower.session({ ...session, traffic: { ...session.traffic, up_bytes: 1 } })
    expect(tell().mock.calls).toEqual([['opened', expect.stringContaining('photos'), '/sessions/session-id']])
  })

  it('once of what a knock opened by IPv4 and IPv6, and again of an address that comes later', () => {
    const four = sampleSession({ id: 'four', device: 'd', opened: at(-1000) })
    const six = { ...four, id: 'six', source: '2001:db8:7:1::/64' }
    for (const session of [four, six]) {
      useSessions().apply(session)
      follower.session(session)
    }
    expect(tell()).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(100_000)
    const later = { ...four, id: 'later', source: '198.51.100.7/32', opened: at(99_000) }
    useSessions().apply({ ...four, expires: at(150_000) })
    useSessions().apply(later)
    follower.session(later)
    expect(tell().mock.calls[1]).toEqual(['opened', expect.stringContaining('198.51.100.7'), '/sessions/later'])
  })

  it('of a knock of mine that was refused, and of a sign-in as me elsewhere', () => {
    const refusal = { user: 'ana-id', device: 'd1', device_name: 'phone', reason: 'policy_grant', number: 2, first: at(0), latest: at(0) }
    const login = { id: 'l1', user: 'ana-id', method: 'password', result: 'ok', address: '198.51.100.9', at: at(0), latest: at(0), count: 1 } as const
    follower.refusal({ ...refusal, user: 'marc-id' })
    follower.login({ ...login, user: 'marc-id' })
    expect(tell()).not.toHaveBeenCalled()
    follower.refusal(refusal)
    follower.login(login)
    expect(tell().mock.calls).toEqual([
      ['refused', 'A knock of phone was refused.', '/devices/d1'],
      ['signIn', 'You were signed in from 198.51.100.9.', '/settings/sign-in'],
    ])
  })

  it('of a guest, as of a guest', () => {
    follower.session(sampleSession({ opened: at(-1000), guest: true }))
    expect(tell().mock.calls[0]?.[0]).toBe('guest')
  })

  it.each([
    ["another's", { user: 'marc-id', opened: at(-1000) }],
    ['one that was opened long ago', { opened: at(-120_000) }],
    ['one that is opening', { state: 'opening', opened: at(-1000) }],
  ] as const)('nothing of %s', (_, change) => {
    follower.session(sampleSession(change))
    expect(tell()).not.toHaveBeenCalled()
  })

  it('five minutes before a session ends, by its end as it is then', async () => {
    useSessions().seed([sampleSession({ expires: at(600_000) })])
    await nextTick()
    useSessions().seed([sampleSession({ expires: at(900_000) })])
    await nextTick()
    await vi.advanceTimersByTimeAsync(599_000)
    expect(tell()).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(tell().mock.calls).toEqual([['endsSoon', expect.stringContaining('photos'), '/sessions/session-id']])
  })

  it('that a core is away, and that it is back', () => {
    const site = sampleSite()
    follower.site(site)
    expect(tell()).not.toHaveBeenCalled()
    follower.site({ ...site, connected: false })
    follower.site({ ...site, connected: true })
    expect(tell().mock.calls.map(([kind]) => kind)).toEqual(['siteDown', 'siteDown'])
    expect(tell().mock.calls[0]?.[1]).not.toBe(tell().mock.calls[1]?.[1])
  })
})
