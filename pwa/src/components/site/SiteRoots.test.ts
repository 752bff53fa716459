import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { describe, expect, it } from 'vitest'
import type { Site } from '@/api/sites'
import { sampleSite } from '@/testing/samples'
import SiteRoots from './SiteRoots.vue'

function roots(...sites: Site[]) {
  return mount(SiteRoots, { global: { plugins: [createPinia()] }, props: { sites } })
}

const proxy = { driver: 'embedded', domain: 'home.example.org', port: 9999, root: true, serves: true }

describe('the certificates of sites', () => {
  it('can be downloaded where there are any, with what it means to trust them', () => {
    const card = roots(sampleSite({ proxy }))
    const link = card.get('a')
    expect(link.text()).toBe('Download the certificate of Home')
    expect(link.attributes()).toMatchObject({ href: '/api/v1/sites/home-id/root', download: '' })
    const said = card.get(`#${link.attributes('aria-describedby')}`).text()
    expect(said).toContain('below home.example.org')
    expect(said).toContain('only on devices of yours')
  })

  it('are not spoken of elsewhere', () => {
    expect(roots().html()).not.toContain('section')
    expect(roots(sampleSite()).find('section').exists()).toBe(false)
    expect(roots(sampleSite({ proxy: { ...proxy, root: false } })).find('section').exists()).toBe(false)
    expect(roots(sampleSite({ proxy, connected: false })).find('section').exists()).toBe(false)
  })

  it('shows one link for each site that has one', () => {
    const card = roots(sampleSite({ proxy }), sampleSite({ id: 'office-id', name: 'Office', proxy }), sampleSite({ id: 'x' }))
    expect(card.findAll('a').map((a) => a.attributes('href'))).toEqual([
      '/api/v1/sites/home-id/root', '/api/v1/sites/office-id/root',
    ])
  })
})
