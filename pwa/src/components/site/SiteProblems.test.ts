import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { expect, it } from 'vitest'
import type { Site } from '@/api/sites'
import { sampleSite } from '@/testing/samples'
import SiteProblems from './SiteProblems.vue'

const said = (change: Partial<Site>): string =>
  mount(SiteProblems, { global: { plugins: [createPinia()] }, props: { site: sampleSite(change) } }).text()

it('is silent about a site that is well', () => {
  expect(said({})).toBe('')
})

it.each<Partial<Site>>([
  { firewall: 'another table is in the way' },
  { connected: false, error: 'dial tcp 192.168.7.1:57329: connection refused' },
  { connected: false },
])('names the doctor where something is wrong: %o', (change) => {
  const text = said(change)
  expect(text).toContain(change.firewall ?? change.error ?? '')
  expect(text).toContain('ownline-core doctor')
})
