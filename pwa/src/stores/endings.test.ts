import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { noon, sampleMe, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useClock } from './clock'
import { useEndings } from './endings'
import { useNotices } from './notices'
import { useSessions } from './sessions'

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
})
afterEach(() => vi.useRealTimers())

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
  expect(notices.shown[0]?.actions[0]?.label).toBe('Extend')
})
