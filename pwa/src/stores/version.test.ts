import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { useNotices } from './notices'
import { useVersion } from './version'

/** A registration on which a worker has been installed beside the one that is there. */
function installed(kept: string[], controller: object | null = {}): void {
  const serviceWorker = Object.assign(new EventTarget(), {
    controller,
    register: async () => Object.assign(new EventTarget(), { waiting: { state: 'installed' } }),
  })
  vi.stubGlobal('navigator', { ...navigator, language: 'en', languages: ['en'], serviceWorker })
  vi.stubGlobal('caches', { keys: async () => kept })
}

beforeEach(() => {
  setActivePinia(createPinia())
  vi.useFakeTimers()
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

async function words(): Promise<string[]> {
  await useVersion().start()
  await vi.advanceTimersByTimeAsync(1)
  return useNotices().shown.map((notice) => notice.text)
}

test('a new build is told', async () => {
  installed(['ownline-build-1', 'ownline-build-2', 'other'])
  expect(await words()).toEqual(['A new version is ready.'])
})

test('another policy of the same build is not', async () => {
  installed(['ownline-build-1', 'other'])
  expect(await words()).toEqual([])
})

test('the first is not', async () => {
  installed(['ownline-build-1', 'ownline-build-2'], null)
  expect(await words()).toEqual([])
})
