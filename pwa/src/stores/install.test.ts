import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import { useInstall } from './install'

function fresh(): ReturnType<typeof useInstall> {
  setActivePinia(createPinia())
  const install = useInstall()
  install.start()
  const event = new Event('beforeinstallprompt', { cancelable: true })
  window.dispatchEvent(Object.assign(event, { prompt: async () => ({ outcome: 'dismissed' }) }))
  return install
}

beforeEach(() => {
  localStorage.clear()
  vi.useFakeTimers({ now: 0, toFake: ['Date'] })
})

it('asks after the second session, then after 60 days, then never', async () => {
  let install = fresh()
  expect(install.offered).toBe(false)
  install.sessionOpened()
  expect(install.offered).toBe(false)
  install.sessionOpened()
  expect(install.offered).toBe(true)

  install.decline()
  expect(install.offered).toBe(false)
  vi.setSystemTime(59 * 86_400_000)
  expect(fresh().offered).toBe(false)
  vi.setSystemTime(61 * 86_400_000)
  install = fresh()
  expect(install.offered).toBe(true)

  await install.install()
  vi.setSystemTime(1000 * 86_400_000)
  expect(fresh().offered).toBe(false)
})

it('asks nobody who has it', () => {
  const install = fresh()
  install.sessionOpened()
  install.sessionOpened()
  expect(install.offered).toBe(true)
  window.dispatchEvent(new Event('appinstalled'))
  expect(install.offered).toBe(false)
})
