import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { ref } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import * as api from '@/api/history'
import { Problem } from '@/api/problem'
import { listUsers } from '@/api/users'
import { useAccount } from '@/stores/account'
import { useServices } from '@/stores/services'
import { useSites } from '@/stores/sites'
import { at as when, noon, sampleMe, sampleService, sampleSession } from '@/testing/samples'
import HistoryPage from './HistoryPage.vue'

vi.mock('@/api/history')
vi.mock('@/api/users')
const wide = ref(false)
vi.mock('@/stores/wide', () => ({ useWide: () => wide }))
vi.mock('@/api/devices', () => ({ listDevices: async () => [] }))

async function at(path: string) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/history', component: HistoryPage, children: [{ path: ':id', component: { props: ['past'], template: '<p>sheet {{ past?.parts?.length }}</p>' } }] },
      { path: '/', component: { template: '<p>home</p>' } },
    ],
  })
  await router.push(path)
  const page = mount({ template: '<RouterView />' }, { global: { plugins: [router] } })
  await flushPromises()
  return { page, router }
}

beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['Date'] })
  setActivePinia(createPinia())
  wide.value = false
  useAccount().me = sampleMe()
  useServices().put(sampleService())
  useSites().state = 'ready'
  vi.mocked(listUsers).mockResolvedValue([])
  vi.mocked(api.historyPage).mockResolvedValue({
    items: [
      sampleSession({ id: 'a', state: 'ended', reason: 'expired', opened: when(-1_800_000), ended: when(0) }),
      sampleSession({ id: 'b', state: 'ended', reason: 'failed', opened: when(-86_400_000 * 2), ended: when(-86_400_000 * 2 + 60_000) }),
    ],
    next: undefined,
  })
})

describe('history', () => {
  it('stands by day, and says why each session ended', async () => {
    const { page } = await at('/history')
    expect(page.findAll('h2')).toHaveLength(2)
    expect(page.text()).toContain('Time was up')
    expect(page.text()).toContain('from 203.0.113.24, port 20443, 30 min')
    expect(api.historyPage).toHaveBeenCalledWith({}, 50, undefined)
  })

  it('waits for the sites, which would move it', async () => {
    useSites().state = 'loading'
    const { page } = await at('/history')
    expect(page.find('[aria-busy=true]').exists()).toBe(true)
    useSites().state = 'ready'
    await flushPromises()
    expect(page.find('[aria-busy=true]').exists()).toBe(false)
  })

  it('says what is wrong with an address, which trying again would not mend', async () => {
    vi.mocked(api.historyPage).mockRejectedValue(new Problem(422, '', [{ field: 'source', message: 'is not an address like 198.51.100.7' }]))
    const { page } = await at('/history?source=192.0.2')
    expect(page.text()).toContain('From address is not an address like 198.51.100.7.')
    expect(page.text()).not.toContain('Try again')
  })

  it('is a table by day where there is room', async () => {
    wide.value = true
    const { page } = await at('/history')
    expect(page.findAll('tr.group')).toHaveLength(2)
    expect(page.get('th[scope=row]').text()).toBe('photos')
  })

  it.each([false, true])('has one row for what a knock opened by IPv4 and IPv6', async (room) => {
    wide.value = room
    const knocked = { state: 'ended', reason: 'expired', device: 'phone-id', device_name: 'phone', ended: when(0) } as const
    const traffic = { up_bytes: 1, up_packets: 1, down_bytes: 1_000_000, down_packets: 1 }
    vi.mocked(api.historyPage).mockResolvedValue({
      items: [
        sampleSession({ id: 'hand', state: 'ended', reason: 'closed', opened: when(-1_798_500), ended: when(0) }),
        sampleSession({ id: 'six', ...knocked, source: '2001:db8:7:1::/64', opened: when(-1_799_000), traffic }),
        sampleSession({ id: 'between', state: 'ended', reason: 'closed', opened: when(-1_799_500), ended: when(0) }),
        sampleSession({ id: 'four', ...knocked, opened: when(-1_800_000), traffic }),
      ],
      next: undefined,
    })
    const { page, router } = await at('/history')
    const links = page.findAll('a').map((one) => one.attributes('href'))
    expect(links).toEqual(['/history/hand', '/history/four', '/history/between'])
    expect(page.text()).toContain('203.0.113.24, 2001:db8:7:1::/64')
    expect(page.text()).toContain('2 MB')
    // The sheet is told of both.
    await router.push('/history/four')
    await flushPromises()
    expect(page.text()).toContain('sheet 2')
  })

  it('is filtered by its address, and says so there', async () => {
    const { page, router } = await at('/history?reason=failed&source=203.0.113.24&from=2030-05-01&until=2030-05-02')
    expect(api.historyPage).toHaveBeenLastCalledWith(
      {
        reason: 'failed', source: '203.0.113.24',
        from: new Date('2030-05-01T00:00:00').toISOString(), until: new Date('2030-05-03T00:00:00').toISOString(),
      },
      50,
      undefined,
    )
    await page.findAll('select')[0]?.setValue('photos-id')
    await flushPromises()
    expect(router.currentRoute.value.query).toMatchObject({ reason: 'failed', service: 'photos-id' })
    expect(vi.mocked(api.historyPage).mock.lastCall?.[0]).toMatchObject({ service: 'photos-id' })
  })

  it('has its filters a key away', async () => {
    const { page } = await at('/history')
    expect(page.findAll('[aria-keyshortcuts="/"]').map((one) => one.attributes('aria-label'))).toEqual(['Service'])
  })

  it('says that nothing matches, and clears the filters', async () => {
    vi.mocked(api.historyPage).mockResolvedValue({ items: [], next: undefined })
    const { page, router } = await at('/history?reason=failed')
    expect(page.text()).toContain('Nothing matches.')
    await page.findAll('button').find((one) => one.text() === 'Clear filters')?.trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.fullPath).toBe('/history')
    expect(page.text()).toContain('Nothing yet.')
  })

  it('is not asked for again under a sheet, nor when somebody comes back', async () => {
    const { page, router } = await at('/history?reason=expired')
    expect(page.get('a[href="/history/a?reason=expired"]').text()).toBe('photos')
    await router.push('/history/a?reason=expired')
    await flushPromises()
    expect(page.text()).toContain('sheet')
    await router.push('/')
    await flushPromises()
    await router.push('/history?reason=expired')
    await flushPromises()
    expect(page.text()).toContain('Time was up')
    expect(api.historyPage).toHaveBeenCalledTimes(1)
  })

  it("shows an admin everybody's", async () => {
    useAccount().me = sampleMe({ role: 'admin' })
    const { page } = await at('/history')
    expect(api.historyPage).toHaveBeenCalledWith({ all: true }, 50, undefined)
    expect(page.text()).toContain('ana')
  })
})
