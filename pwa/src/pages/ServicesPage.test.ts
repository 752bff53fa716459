import { mount, RouterLinkStub } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import { useAccount } from '@/stores/account'
import { useKnown } from '@/stores/known'
import { noon, sampleMe, sampleService } from '@/testing/samples'
import ServicesPage from './ServicesPage.vue'

beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['Date'] })
  localStorage.setItem('ownline.known', JSON.stringify({
    at: noon - 3_600_000, me: sampleMe(), services: [sampleService()], sessions: [], sites: [],
  }))
  setActivePinia(createPinia())
})
afterEach(() => {
  vi.useRealTimers()
  localStorage.clear()
})

it('says of when the services are that were known before', () => {
  useAccount().me = sampleMe()
  useKnown().show()
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', component: {} }] })
  const page = mount(ServicesPage, { global: { plugins: [router], stubs: { RouterLink: RouterLinkStub } } })
  expect(page.text()).toContain('photos')
  expect(page.text()).toMatch(/As of \d+:\d\d/)
})
