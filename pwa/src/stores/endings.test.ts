import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import * as api from '@/api/sessions'
import { at, noon, sampleGrant, sampleMe, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useClock } from './clock'
import { useEndings } from './endings'
import { useGrants } from './grants'
import { useNotices } from './notices'
import { useSessions } from './sessions'

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
})
afterEach(() => vi.useRealTimers())

it('warns once of what a knock opened by IPv4 and IPv6, and extends both', () => {
  const four = sampleSession({ id: 'four', device: 'd', expires: at(61_000) })
  useSessions().apply(four)
  useSessions().apply({ ...four, id: 'six', source: '2001:db8:7:1::/64' })
  for (let second = 0; second < 5; second++) {
    useClock().tick()
    useEndings().remind()
    vi.advanceTimersByTime(1000)
  }
  expect(useNotices().shown).toHaveLength(1)
  const extend = vi.spyOn(api, 'renewSession').mockReturnValue(new Promise(() => {}))
  useNotices().shown[0]?.actions[0]?.run?.()
  expect(extend.mock.calls.map(([id]) => id)).toEqual(['four', 'six'])
})

it('warns once at five minutes by voice, and once at one minute by a toast', () => {
  const clock = useClock()
  const notices = useNotices()
  useSessions().apply(sampleSession())
  const heard: string[] = []
  for (let second = 0; second < 1200; second++) {
    clock.tick()
    useEndings().remind()
    if (notices.polite !== heard.at(-1)) heard.push(notices.polite)
    vi.advanceTimersByTime(1000)
  }
  expect(heard).toEqual(['', 'photos: 5 minutes left', 'photos closes in 1 minute'])
  expect(notices.shown).toHaveLength(1)
  expect(notices.shown[0]?.actions[0]?.label).toBe('Extend 30 min')
})

it.each([['10m0s', ['Extend 9 min']], ['1m0s', []]])('offers no more than a grant of %s allows', (max_duration, offered) => {
  useGrants().put(sampleGrant({ max_duration }))
  useSessions().apply(sampleSession({ expires: at(61_000) }))
  for (let second = 0; second < 2; second++) {
    useClock().tick()
    useEndings().remind()
    vi.advanceTimersByTime(1000)
  }
  expect(useNotices().shown.map(({ actions }) => actions.map(({ label }) => label))).toEqual([offered])
})
