import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { expect, it } from 'vitest'
import type { Site } from '@/api/sites'
import { useLanguage } from '@/messages'
import { sampleSite } from '@/testing/samples'
import SiteProblems from './SiteProblems.vue'

const said = (change: Partial<Site>): string =>
  mount(SiteProblems, { global: { plugins: [createPinia()] }, props: { site: sampleSite(change) } }).text()

it('is silent about a site that is well', () => {
  expect(said({})).toBe('')
})

it.each([
  ['en', 'No knock can be taken.'],
  ['es', 'No se puede aceptar ninguna llamada.'],
] as const)('says in the language in use that no clock is known: %s', async (tongue, words) => {
  setActivePinia(createPinia())
  await useLanguage().need('siteAdmin')
  await useLanguage().choose(tongue)
  const props = { site: sampleSite({ clock: "the kernel's clock is not synchronised" }) }
  const line = mount(SiteProblems, { props }).get('li').text()
  expect(line).toContain(words)
  expect(line.includes('kernel')).toBe(false)
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
