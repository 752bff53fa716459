import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as devices from '@/api/devices'
import * as grants from '@/api/grants'
import { Problem } from '@/api/problem'
import { listServices } from '@/api/services'
import * as api from '@/api/sessions'
import { listSites } from '@/api/sites'
import { whoami } from '@/api/whoami'
import { useLanguage } from '@/messages'
import { makeRouter } from '@/router'
import { useAccount } from '@/stores/account'
import { useAddress } from '@/stores/address'
import { useChoices } from '@/stores/choices'
import { useNotices } from '@/stores/notices'
import { useServices } from '@/stores/services'
import { useSessions } from '@/stores/sessions'
import { useSites } from '@/stores/sites'
import { at, noon, sampleDevice, sampleGrant, sampleMe, sampleService, sampleSession, sampleSite } from '@/testing/samples'
import ServiceSheet from './ServiceSheet.vue'
import SessionSheet from './SessionSheet.vue'

vi.mock('@/api/devices')
vi.mock('@/api/grants')
vi.mock('@/api/services')
vi.mock('@/api/sessions')
vi.mock('@/api/sites')
vi.mock('@/api/whoami')

enableAutoUnmount(afterEach)
beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['Date', 'setInterval', 'clearInterval'] })
  localStorage.clear()
  setActivePinia(createPinia())
  vi.mocked(devices.listDevices).mockResolvedValue([sampleDevice()])
  vi.mocked(grants.listGrants).mockResolvedValue([])
  vi.mocked(listServices).mockResolvedValue([sampleService()])
  vi.mocked(listSites).mockResolvedValue([sampleSite()])
  vi.mocked(api.listLive).mockResolvedValue([])
  vi.mocked(whoami).mockResolvedValue({
    address: '203.0.113.24', family: 4, forwarded: false, kind: 'public', source: '203.0.113.24/32',
  })
})
afterEach(() => void vi.useRealTimers())

async function sheet(component: typeof ServiceSheet | typeof SessionSheet, path: string, admin = false) {
  useAccount().me = sampleMe({ role: admin ? 'admin' : 'user' })
  useAccount().state = 'in'
  await Promise.all([
    useAddress().load(), useServices().load(), useSessions().load(), useSites().load(),
  ])
  const router = makeRouter()
  await router.push(path)
  const back = vi.spyOn(router, 'replace')
  const shown = mount(component, { global: { plugins: [router] } })
  await flushPromises()
  function button(text: string) {
    const found = shown.findAll('button').find((one) => one.text() === text)
    if (!found) throw new Error(`no button ${text}`)
    return found
  }
  return { shown, button, back }
}

describe('the sheet of a service', () => {
  const path = '/services/photos-id'

  it('opens for the time and by the port that were chosen, and remembers both', async () => {
    vi.mocked(api.openSession).mockResolvedValue(sampleSession())
    const { shown, button, back } = await sheet(ServiceSheet, path)
    expect(shown.get('dialog').text()).toContain('TCP forward · Home')
    await shown.get('input[value="3600"]').setValue()
    await shown.get('input[inputmode=numeric]').setValue('20443')
    await shown.get('input[inputmode=numeric]').trigger('change')
    expect(shown.text()).toContain('home.example.org:20443')
    await button('Open for 1 h').trigger('click')
    await flushPromises()
    const wish = { seconds: 3600, port: 20443, source: undefined }
    expect(api.openSession).toHaveBeenCalledWith('photos-id', expect.any(String), wish)
    expect(back).toHaveBeenCalledWith('/')
    expect(useChoices().of('photos-id')).toEqual({ seconds: 3600, port: 20443, used: 1 })
  })

  it('offers no more than the grant allows', async () => {
    vi.mocked(grants.listGrants).mockResolvedValue([
      {
        id: 'g', user: 'ana-id', service: 'photos-id', allow_reserved: false, require_claimed_source: false, automatic: false,
        max_duration: '1h0m0s', created: at(0),
      },
    ])
    const { shown } = await sheet(ServiceSheet, path)
    expect(shown.text()).toContain('Up to 1 h')
    expect(shown.find('input[value="14400"]').exists()).toBe(false)
  })

  it('says that a port is saved, once', async () => {
    const { shown } = await sheet(ServiceSheet, path)
    await shown.get('input[inputmode=numeric]').setValue('20443')
    await shown.get('input[inputmode=numeric]').trigger('change')
    await shown.get('input[inputmode=numeric]').trigger('change')
    expect(useNotices().shown.map(({ text }) => text)).toEqual(['Saved'])
  })

  const not = { another: sampleDevice({ user: 'bob-id' }), elsewhere: sampleDevice({ site: 'beach-id' }), revoked: sampleDevice({ revoked: true }) }
  it.each([
    ['no device', [], 'Enrol a device first.'],
    ["somebody else's", [not.another], 'Enrol a device first.'],
    ['one of another site', [not.elsewhere], 'Enrol a device first.'],
    ['one that is revoked', [not.revoked], 'Enrol a device first.'],
    ['one that can knock', [sampleDevice()], undefined],
  ])('lets an admin who has %s have it open by a knock, or says why not', async (_, all, why) => {
    vi.mocked(grants.listGrants).mockResolvedValue([sampleGrant()])
    vi.mocked(devices.listDevices).mockResolvedValue(all)
    const { shown } = await sheet(ServiceSheet, path, true)
    const automatic = shown.get<HTMLInputElement>('input[role=switch]')
    expect(automatic.element.disabled).toBe(why !== undefined)
    expect(automatic.attributes('aria-describedby') !== undefined && shown.get(`[id="${automatic.attributes('aria-describedby')}"]`).text()).toBe(why ?? false)
  })

  it('can be made not to open by a knock without a device, too, and says so', async () => {
    vi.mocked(grants.listGrants).mockResolvedValue([sampleGrant({ automatic: true })])
    vi.mocked(grants.setAutomatic).mockResolvedValue(sampleGrant())
    vi.mocked(devices.listDevices).mockResolvedValue([])
    const { shown } = await sheet(ServiceSheet, path, true)
    await shown.get('input[role=switch]').setValue(false)
    await flushPromises()
    expect(grants.setAutomatic).toHaveBeenCalledWith('grant-id', false)
    expect(useNotices().shown.map(({ text }) => text)).toEqual(['Saved'])
  })

  it('says when no service could be fetched, and tries again', async () => {
    vi.mocked(listServices).mockRejectedValueOnce(new Problem(500))
    const { shown, button } = await sheet(ServiceSheet, path)
    expect(shown.get('[role=alert]').text()).toBe("The services can't be shown.")
    await button('Try again').trigger('click')
    await flushPromises()
    expect(shown.text()).toContain('TCP forward · Home')
  })

  it('refuses a port out of the range, and opens nothing', async () => {
    const { shown, button } = await sheet(ServiceSheet, path)
    await shown.get('input[inputmode=numeric]').setValue('443')
    await button('Open for 30 min').trigger('click')
    expect(shown.text()).toContain('Use a number from 20000 to 29999, or nothing.')
    expect(api.openSession).not.toHaveBeenCalled()
  })

  it('says until when a port is taken', async () => {
    const other = sampleSession({ id: 'other', service: 'wiki-id', expires: at(1_200_000) })
    vi.mocked(api.listLive).mockResolvedValue([other])
    const fields = [{ field: 'public_port', message: 'is taken' }]
    vi.mocked(api.openSession).mockRejectedValue(new Problem(409, 'public_port: is taken', fields))
    const { shown, button, back } = await sheet(ServiceSheet, path)
    await shown.get('input[inputmode=numeric]').setValue('20443')
    await button('Open for 30 min').trigger('click')
    await flushPromises()
    expect(shown.get('[role=alert]').text()).toMatch(/^Port 20443 is in use until .+\. Choose another\.$/)
    expect(back).not.toHaveBeenCalled()
    expect(button('Try again')).toBeDefined()
  })

  it('tells admins why the core could not open it', async () => {
    const fields = [{ field: '', message: 'the firewall refused the rule' }]
    vi.mocked(api.openSession).mockRejectedValue(new Problem(503, 'nothing: the firewall refused the rule', fields))
    const { shown, button } = await sheet(ServiceSheet, path, true)
    await button('Open for 30 min').trigger('click')
    await flushPromises()
    expect(shown.get('[role=alert]').text()).toBe(
      'Home could not open it: the firewall refused the rule. Nothing was opened.',
    )
  })

  it('opens nothing while the core is away', async () => {
    vi.mocked(listSites).mockResolvedValue([sampleSite({ connected: false })])
    const { shown, button } = await sheet(ServiceSheet, path)
    expect(shown.text()).toContain("Home can't be reached.")
    await button('Open for 30 min').trigger('click')
    expect(api.openSession).not.toHaveBeenCalled()
  })

  it('says at its field what is wrong with another address', async () => {
    vi.mocked(api.openSession).mockRejectedValue(
      new Problem(422, '', [{ field: 'source', message: 'is not an address like 198.51.100.7', code: 'source_address' }]),
    )
    const { shown, button } = await sheet(ServiceSheet, path, true)
    await shown.findAll('input[value=other]')[1]?.setValue()
    await shown.findAll('input:not([type=radio]):not([type=checkbox])')[1]?.setValue('foo')
    await button('Open for 30 min').trigger('click')
    await flushPromises()
    expect(shown.get('.error').text()).toBe('Address to let in is not an address like 198.51.100.7.')
    expect(shown.find('[role=alert]').exists()).toBe(false)
  })

  it('lets admins open for another address', async () => {
    vi.mocked(api.openSession).mockResolvedValue(sampleSession({ source: '198.51.100.7/32' }))
    const { shown, button } = await sheet(ServiceSheet, path, true)
    await shown.get('input[value=other]').setValue()
    await shown.findAll('input[value=other]')[1]?.setValue()
    await button('Open for 30 min').trigger('click')
    expect(shown.text()).toContain('Enter an address.')
    await shown.findAll('input:not([type=radio]):not([type=checkbox])')[1]?.setValue(' 198.51.100.7 ')
    await button('Open for 30 min').trigger('click')
    await flushPromises()
    expect(api.openSession).toHaveBeenCalledWith(
      'photos-id', expect.any(String), expect.objectContaining({ source: '198.51.100.7' }),
    )
  })
})

describe('the sheet of a session', () => {
  const path = '/sessions/session-id'

  async function shownOf(change: Parameters<typeof sampleSession>[0] = {}) {
    const session = sampleSession(change)
    vi.mocked(api.listLive).mockResolvedValue(session.state === 'ended' ? [] : [session])
    vi.mocked(api.showSession).mockResolvedValue(session)
    return { ...(await sheet(SessionSheet, path)), session }
  }

  it('says how long still, and everything else, to copy what one writes elsewhere', async () => {
    const { shown } = await shownOf()
    const copied = shown.findAll('dl button').map((one) => one.attributes('aria-label'))
    expect(copied).toEqual(['Copy: Address', 'Copy: For', 'Copy: ID'])
    expect(shown.get('.big').text()).toBe('20:00')
    for (const text of ['home.example.org:20443', '203.0.113.24', 'this device', 'session-id', 'TCP']) {
      expect(shown.text()).toContain(text)
    }
  })

  it('extends by so much, and no further than it may', async () => {
    const { shown, session } = await shownOf()
    vi.mocked(api.renewSession).mockResolvedValue({ ...session, expires: at(28_800_000) })
    await shown.get('[aria-label="Extend by 15 min"]').trigger('click')
    await flushPromises()
    expect(api.renewSession).toHaveBeenCalledWith('session-id', 2100)
    expect(shown.text()).toContain('This is the longest you may have.')
    expect(shown.find('[aria-label="Extend by 15 min"]').exists()).toBe(false)
  })

  it('asks whether the address is used when nothing comes through', async () => {
    const { shown } = await shownOf()
    expect(shown.text()).toContain('Nothing has come through yet')
    expect(shown.text()).toContain('Is the app using this address?')
  })

  it('shows what has come through', async () => {
    const traffic = { up_bytes: 3_100_000, up_packets: 1, down_bytes: 128_000_000, down_packets: 1 }
    expect((await shownOf({ traffic })).shown.text()).toContain('↓ 128 MB ↑ 3.1 MB')
  })

  it('is closed at once', async () => {
    const { button, back, session } = await shownOf()
    vi.mocked(api.closeSession).mockResolvedValue({ ...session, state: 'ended', reason: 'closed' })
    await button('Close').trigger('click')
    expect(back).toHaveBeenCalledWith('/')
    expect(api.closeSession).toHaveBeenCalledWith('session-id')
  })

  it('tells why it ended, and opens again', async () => {
    const { shown, button } = await shownOf({ state: 'ended', reason: 'expired', ended: at(0) })
    expect(shown.text()).toContain('Closed · Time was up')
    vi.mocked(api.openSession).mockResolvedValue(sampleSession({ id: 'new' }))
    await button('Open again').trigger('click')
    expect(api.openSession).toHaveBeenCalledOnce()
  })

  it('opens nothing again while the core is away', async () => {
    vi.mocked(listSites).mockResolvedValue([sampleSite({ connected: false })])
    const { button } = await shownOf({ state: 'ended', reason: 'expired', ended: at(0) })
    await button('Open again').trigger('click')
    expect(api.openSession).not.toHaveBeenCalled()
  })

  it('shows both of what a knock opened, and asks for the traffic of both', async () => {
    const traffic = { up_bytes: 1_000_000, up_packets: 1, down_bytes: 2_000_000, down_packets: 1 }
    const four = sampleSession({ id: 'four', device: 'd', device_name: 'phone', traffic })
    const six = { ...four, id: 'six', source: '2001:db8:7:1::/64', expires: at(1_190_000) }
    vi.mocked(api.listLive).mockResolvedValue([four, six])
    vi.mocked(api.showSession).mockImplementation((id) =>
      Promise.resolve(id === 'six' ? { ...six, traffic: { ...traffic, down_bytes: 40_000_000 } } : four))
    const { shown } = await sheet(SessionSheet, '/sessions/six')
    expect(shown.get('.big').text()).toBe('19:50')
    const facts = shown.findAll('dl > div').map((one) => one.text())
    for (const fact of ['For203.0.113.24this device', 'And for2001:db8:7:1::/64', 'IDfour six']) {
      expect(facts).toContain(fact)
    }
    expect(shown.text()).toContain('↓ 42 MB ↑ 2 MB')
  })

  it.each([
    ['en', false, true], ['es', false, false], ['es', true, true],
  ] as const)('gives the router’s own words for a failure to who reads them: in %s, admin %s', async (tongue, admin, told) => {
    await useLanguage().choose(tongue)
    const session = sampleSession({ state: 'ended', reason: 'failed', detail: 'public_port: 53/udp is used', ended: at(0) })
    vi.mocked(api.showSession).mockResolvedValue(session)
    const { shown } = await sheet(SessionSheet, path, admin)
    expect(shown.get('.reason').text()).toContain(useLanguage().t.session.reasons.failed)
    expect(shown.find('.over [lang=en]').exists() && shown.get('.over [lang=en]').text()).toBe(told && session.detail)
  })

  it('says in the language in use why it failed, where there are words', async () => {
    await useLanguage().choose('es')
    const detail = 'public_port: 53/udp is used by the router itself'
    const failure = { message: detail, code: 'core_port_used', params: { port: '53', transport: 'udp' } } as const
    vi.mocked(api.showSession).mockResolvedValue(sampleSession({ state: 'ended', reason: 'failed', detail, failure, ended: at(0) }))
    const { shown } = await sheet(SessionSheet, path)
    await vi.waitFor(() => expect(shown.get('.over .line').text()).toContain('53/udp lo usa el propio router'))
    expect(shown.find('[lang=en]').exists()).toBe(false)
  })

  it('says that there is none, and where those are that were', async () => {
    vi.mocked(api.showSession).mockRejectedValue(new Problem(404))
    const { shown } = await sheet(SessionSheet, path)
    expect(shown.get('[role=alert]').text()).toBe('This session ended long ago, or never was.')
    expect(shown.get('.body a').attributes('href')).toBe('/history')
  })
})
