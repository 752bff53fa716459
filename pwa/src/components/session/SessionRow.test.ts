import { mount, RouterLinkStub } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { describe, expect, it } from 'vitest'
import { sampleSession } from '@/testing/samples'
import SessionRow from './SessionRow.vue'

function row(props: Partial<InstanceType<typeof SessionRow>['$props']> = {}) {
  return mount(SessionRow, {
    global: { plugins: [createPinia()], stubs: { RouterLink: RouterLinkStub } },
    props: {
      session: sampleSession(), left: 1_199_000, at: 'here', mine: true, extending: false, down: false, ...props,
    },
  })
}

describe('a session row', () => {
  it('says what, how long and for whom', () => {
    const text = row().text()
    expect(text).toContain('photos')
    expect(text).toContain('19:59 left · this device')
  })

  it('leads to its sheet', () => {
    expect(row().getComponent(RouterLinkStub).props('to')).toBe('/sessions/session-id')
  })

  it('names its ring by the minute', () => {
    expect(row().get('[role=img]').attributes('aria-label')).toBe('20 minutes left')
  })

  it('marks what a knock opened', () => {
    const text = row({ session: sampleSession({ device: 'd', device_name: 'Pixel' }) }).text()
    expect(text).toContain('Automatic')
    expect(text).toContain('· Pixel')
  })

  it('names both addresses that a knock let in', () => {
    const four = sampleSession({ device: 'd', device_name: 'Pixel' })
    const six = sampleSession({ device: 'd', device_name: 'Pixel', source: '2001:db8:7:1::/64' })
    const both = row({ session: { ...four, parts: [four, six] } })
    expect(both.text()).toContain('· Pixel, from 203.0.113.24 and 2001:db8:7:1::/64')
  })

  it('names no address while it may turn out to be this one', () => {
    expect(row({ at: 'unknown' }).get('.line').text()).toMatch(/left$/)
    expect(row({ at: 'unknown', session: sampleSession({ device: 'd', device_name: 'Pixel' }) }).text()).toContain('· Pixel')
    expect(row({ at: 'elsewhere' }).text()).toContain('· from 203.0.113.24')
  })

  it('names the person and the source of what is not mine', () => {
    const session = sampleSession({ user_name: 'marc', source: '198.51.100.7/32' })
    expect(row({ session, mine: false, at: 'elsewhere' }).text()).toContain('marc, from 198.51.100.7')
  })

  it('goes by a link where there is one, else copies the address', async () => {
    const url = 'https://photos.home.example.org:9999/'
    const link = row({ session: sampleSession({ url }) }).get('a[target]')
    expect(link.attributes()).toMatchObject({ href: url, rel: 'noopener', target: '_blank' })
    const plain = row()
    await plain.get('[aria-label="Copy address of photos"]').trigger('click')
    expect(plain.emitted('copy')).toHaveLength(1)
  })

  it('offers to extend in the last five minutes, once at a time', async () => {
    expect(row().find('[aria-label="Extend photos"]').exists()).toBe(false)
    const open = row({ left: 300_000 })
    await open.get('[aria-label="Extend photos"]').trigger('click')
    await open.get('[aria-label="Close photos"]').trigger('click')
    expect(open.emitted()).toMatchObject({ extend: [[]], close: [[]] })
    const busy = row({ left: 300_000, extending: true })
    await busy.get('[aria-label="Extend photos"]').trigger('click')
    expect(busy.emitted('extend')).toBeUndefined()
  })

  it('tells why it ended, and opens again', async () => {
    const ended = row({ session: sampleSession({ state: 'ended', reason: 'revoked' }) })
    expect(ended.text()).toContain('Closed · Access was withdrawn')
    await ended.get('button').trigger('click')
    expect(ended.emitted('again')).toHaveLength(1)
  })

  it('opens nothing again at a core that is away, nor for a guest', async () => {
    const session = sampleSession({ state: 'ended', reason: 'expired' })
    const away = row({ session, down: true })
    await away.get('button').trigger('click')
    expect(away.emitted('again')).toBeUndefined()
    expect(row({ session: { ...session, guest: true } }).find('button').exists()).toBe(false)
  })
})
