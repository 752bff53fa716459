import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, expect, it, vi } from 'vitest'
import { brokers } from '@/api/broker'
import { makeRouter } from '@/router'
import { useAccount } from '@/stores/account'
import { useServices } from '@/stores/services'
import { useSessions } from '@/stores/sessions'
import { useSites } from '@/stores/sites'
import { sampleMe } from '@/testing/samples'
import HomePage from './HomePage.vue'

vi.mock('@/api/broker')
vi.mock('@/api/history', () => ({ historyPage: () => Promise.resolve({ items: [] }) }))
vi.mock('@/api/services', () => ({ listServices: () => Promise.resolve([]) }))
vi.mock('@/api/sessions', () => ({ listLive: () => Promise.resolve([]) }))
vi.mock('@/api/sites', () => ({ listSites: () => Promise.resolve([]) }))

enableAutoUnmount(afterEach)

type Brokers = Awaited<ReturnType<typeof brokers>>
const serving = { serving: true, clients: 3, refused_logins: 0 }

it.each<[string, Brokers, boolean]>([
  ['there is none', { configured: false, connected: false }, false],
  ['all is well', { configured: true, connected: true, embedded: serving }, false],
  ['one is away', { configured: true, connected: false, error: 'the connection was lost', embedded: serving }, true],
  ['its own does not serve', { configured: false, connected: false, embedded: { ...serving, serving: false } }, true],
])('tells admins of brokers only while something is wrong: %s', async (_, told, shown) => {
  setActivePinia(createPinia())
  useAccount().me = sampleMe({ role: 'admin' })
  useAccount().state = 'in'
  vi.mocked(brokers).mockResolvedValue(told)
  await Promise.all([useServices().load(), useSessions().load(), useSites().load()])
  const page = mount(HomePage, { global: { plugins: [makeRouter()] } })
  // What stands below the tiles comes after them.
  await vi.waitFor(() => expect(page.findComponent({ name: 'SiteRoots' }).exists()).toBe(true), 10_000)
  await import('@/components/site/BrokerCard.vue')
  await vi.dynamicImportSettled()
  await flushPromises()
  await vi.waitFor(() => expect(page.text().includes('MQTT broker')).toBe(shown), 5_000)
})
