import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import * as api from '@/api/sites'
import { useAccount } from '@/stores/account'
import { useSites } from '@/stores/sites'
import { at, noon, sampleMe, sampleSite } from '@/testing/samples'
import SiteBadge from './SiteBadge.vue'

vi.mock('@/api/sites')

it('does not vouch for sites while Ownline does not answer', async () => {
  const pinia = createPinia()
  setActivePinia(pinia)
  const account = useAccount()
  useSites().put(sampleSite())
  const mounted = mount(SiteBadge, { global: { plugins: [pinia], stubs: { RouterLink: true } } })
  const badge = (): string => [mounted.get('.badge').attributes('data-up'), ...mounted.findAll('.badge > span').map((part) => part.text())].join(' ')
  expect(badge()).toBe('true Home reachable')
  account.unanswered = true
  await nextTick()
  expect(badge()).toBe('false Ownline unreachable')
  account.unanswered = false
  account.state = 'away'
  await nextTick()
  expect(badge()).toBe('false Ownline unreachable')
  account.state = 'in'
  await nextTick()
  expect(badge()).toBe('true Home reachable')
})

it('tells everybody of each site whether its core answers, how fast, and when it last did', async () => {
  vi.useFakeTimers({ now: noon, toFake: ['Date'] })
  const pinia = createPinia()
  setActivePinia(pinia)
  useAccount().me = sampleMe({ role: 'user' })
  useAccount().state = 'in'
  const cabin = sampleSite({ id: 'cabin-id', name: 'Cabin', connected: false, last_contact: at(-300_000) })
  const barn = sampleSite({ id: 'barn-id', name: 'Barn', connected: false })
  vi.mocked(api.listSites).mockResolvedValue([sampleSite(), cabin, barn])
  vi.mocked(api.pingSite).mockImplementation(async (id) => (id === 'home-id' ? 12.4 : Promise.reject(new Error('away'))))
  await useSites().load()
  const mounted = mount(SiteBadge, { global: { plugins: [pinia], stubs: { RouterLink: true } } })
  mounted.getComponent({ name: 'PopPanel' }).vm.$emit('open')
  await flushPromises()
  expect(mounted.get('.badge').text()).toBe('1 of 3 sites')
  expect(mounted.findAll('li').map((one) => one.findAll('span').map((part) => part.text()))).toEqual([
    ['Home', 'reachable, 12 ms'],
    ['Cabin', "can't be reached", 'last contact 5 minutes ago'],
    ['Barn', "can't be reached", 'no contact yet'],
  ])
})
