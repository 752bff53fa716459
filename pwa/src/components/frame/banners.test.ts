import { flushPromises, mount, RouterLinkStub } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import * as auth from '@/api/auth'
import * as api from '@/api/sessions'
import { listSites } from '@/api/sites'
import { whoami } from '@/api/whoami'
import { read } from '@/device/shelf'
import type { StoredDevice } from '@/device/vault'
import { useAccount } from '@/stores/account'
import { useAddress } from '@/stores/address'
import { useClock } from '@/stores/clock'
import { useLive } from '@/stores/live'
import { useOffline } from '@/stores/offline'
import { useSessions } from '@/stores/sessions'
import { useSites } from '@/stores/sites'
import { at, noon, sampleMe, sampleSession, sampleSite } from '@/testing/samples'
import NobodyAnswers from './NobodyAnswers.vue'
import StateBanners from './StateBanners.vue'

vi.mock('@/api/auth')
vi.mock('@/api/sessions')
vi.mock('@/api/sites')
vi.mock('@/api/whoami')
vi.mock('@/device/shelf')

const here = (address: string) => ({
  address, family: 4 as const, forwarded: false, kind: 'public' as const, source: `${address}/32`,
})

beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['Date'] })
  setActivePinia(createPinia())
  vi.mocked(read).mockResolvedValue({ name: 'phone' } as StoredDevice)
  useAccount().me = sampleMe()
  useAccount().state = 'in'
})
afterEach(() => void vi.useRealTimers())

function banners() {
  return mount(StateBanners, { global: { stubs: { RouterLink: RouterLinkStub } } })
}

describe('the banners', () => {
  it('say nothing when all is well', () => {
    expect(banners().text()).toBe('')
  })

  it.each([['phone', 1], [undefined, 0]])('say that the server is away, and offer the knock to the device %s', async (name, links) => {
    vi.mocked(read).mockResolvedValue(name ? ({ name } as StoredDevice) : undefined)
    useAccount().state = 'away'
    const shown = banners()
    await flushPromises()
    expect(shown.text()).toContain("Ownline can't be reached from here.")
    expect(shown.findAllComponents(RouterLinkStub).map((link) => link.props('to'))).toEqual(Array.from({ length: links }, () => '/client'))
    const instead = mount(NobodyAnswers, { global: { stubs: { RouterLink: RouterLinkStub } } })
    await flushPromises()
    expect(instead.findAllComponents(RouterLinkStub)).toHaveLength(links)
  })

  it('say so too of a page that was there before, once updates are paused', async () => {
    const account = useAccount()
    const shown = banners()
    account.unanswered = true
    await nextTick()
    expect(shown.text()).toBe('')
    useLive().paused = true
    await nextTick()
    expect(shown.text()).toContain("Ownline can't be reached from here.")
    expect(shown.getComponent(RouterLinkStub).props('to')).toBe('/client')
    vi.mocked(auth.me).mockResolvedValue(sampleMe())
    await shown.get('button').trigger('click')
    await flushPromises()
    expect(shown.text()).not.toContain("can't be reached")
  })

  it('say that updates are paused, or that the browser is offline', async () => {
    const live = useLive()
    const shown = banners()
    live.paused = true
    await nextTick()
    expect(shown.text()).toContain('Live updates paused.')
    useOffline().is = true
    await nextTick()
    expect(shown.text()).toBe('You are offline. Showing what was last known.')
  })

  it('say that a core is away, and lead admins on', async () => {
    vi.mocked(listSites).mockResolvedValue([sampleSite({ connected: false })])
    await useSites().load()
    expect(banners().text()).not.toContain('See what to check')
    useAccount().me = sampleMe({ role: 'admin' })
    expect(banners().text()).toContain("Home can't be reached.")
    expect(banners().getComponent(RouterLinkStub).props('to')).toBe('/admin/sites')
  })

  it('move the sessions to a new address', async () => {
    vi.mocked(api.listLive).mockResolvedValue([
      sampleSession(),
      sampleSession({ id: 'knocked', device: 'd' }),
    ])
    vi.mocked(whoami).mockResolvedValueOnce(here('203.0.113.24')).mockResolvedValueOnce(here('198.51.100.7'))
    await useSessions().load()
    await useAddress().load()
    await useAddress().load()
    const shown = banners()
    expect(shown.text()).toContain(
      'Your address is now 198.51.100.7. Sessions still belong to 203.0.113.24.',
    )
    vi.mocked(api.openSession).mockResolvedValue(sampleSession({ id: 'moved', source: '198.51.100.7/32' }))
    vi.mocked(api.closeSession).mockResolvedValue(sampleSession({ state: 'ended', reason: 'closed' }))
    await shown.get('button').trigger('click')
    await flushPromises()
    expect(api.openSession).toHaveBeenCalledExactlyOnceWith('photos-id', expect.any(String), { seconds: 1200 })
    expect(api.closeSession).toHaveBeenCalledExactlyOnceWith('session-id')
  })

  it("offer no move of a device's sessions: it knocks by itself", async () => {
    vi.mocked(api.listLive).mockResolvedValue([sampleSession({ device: 'd' })])
    vi.mocked(whoami).mockResolvedValueOnce(here('203.0.113.24')).mockResolvedValueOnce(here('198.51.100.7'))
    await useSessions().load()
    await useAddress().load()
    await useAddress().load()
    expect(banners().text()).toBe('')
  })

  it('say that the sign-in ends soon, and keep it', async () => {
    useAccount().me = sampleMe({ until: at(600_000) })
    const shown = banners()
    expect(shown.text()).toBe('')
    useClock().now = noon + 310_000
    await nextTick()
    expect(shown.text()).toContain("You'll be signed out in 5 minutes.")
    vi.mocked(auth.me).mockResolvedValue(sampleMe({ until: at(1_209_600_000) }))
    await shown.get('button').trigger('click')
    await flushPromises()
    expect(shown.text()).toBe('')
  })
})
