import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { expect, it } from 'vitest'
import { nextTick } from 'vue'
import { useAccount } from '@/stores/account'
import { useSites } from '@/stores/sites'
import { sampleSite } from '@/testing/samples'
import SiteBadge from './SiteBadge.vue'

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
