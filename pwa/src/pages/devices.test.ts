import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import * as api from '@/api/devices'
import { Problem } from '@/api/problem'
import QrCode from '@/components/part/QrCode.vue'
import { hasRoom, read } from '@/device/shelf'
import { type Opened, openRest, type Rest, type StoredDevice } from '@/device/vault'
import { useAccount } from '@/stores/account'
import { useDevice } from '@/stores/device'
import { useDevices } from '@/stores/devices'
import { useKnock } from '@/stores/knock'
import { useSessions } from '@/stores/sessions'
import { useSites } from '@/stores/sites'
import { at as when, noon, sampleDevice, sampleMe, sampleSession, sampleSite } from '@/testing/samples'
import AddDeviceSheet from './AddDeviceSheet.vue'
import DeviceSheet from './DeviceSheet.vue'
import DevicesPage from './DevicesPage.vue'

vi.mock('@/api/devices')
vi.mock('@/api/sessions')
vi.mock('@/api/users')
vi.mock('@/device/shelf', async (original) => ({
  ...(await original<object>()), hasRoom: vi.fn<typeof hasRoom>(), read: vi.fn<typeof read>(),
}))
vi.mock('@/device/vault', async (original) => ({ ...(await original<object>()), openRest: vi.fn<typeof openRest>() }))

const profile = 'ownline://home.example.org:54754/?v=1&key=secret'
const made: api.Enrolled = { ...sampleDevice({ id: 'new', name: 'tablet' }), profile, qr: '' }
const fwknop: api.Enrolled = {
  ...sampleDevice({ id: 'new', name: 'server', fwknop: 'sha512' }), profile: '', qr: '',
  fwknop_client: {
    stanza: '[home]\nSPA_SERVER              home.example.org\nKEY_BASE64              c2VjcmV0\n',
    host: 'home.example.org', port: 62_201, hmac_digest: 'sha512', key_base64: 'c2VjcmV0', hmac_key_base64: 'aG1hYw',
    commands: [{ service: 'ssh', command: 'fwknop -n home -A tcp/22022 -N ssh' }],
  },
}

/** All that the program needs and all that an app needs, and no empty profile. */
function expectKeys(page: VueWrapper): void {
  const texts = page.findAll('[role=textbox]').map((one) => one.element.textContent)
  expect(texts).toEqual([fwknop.fwknop_client?.stanza, 'fwknop -n home -A tcp/22022 -N ssh'])
  expect(page.findAll('dd .mono').map((one) => one.text())).toEqual(['home.example.org', '62201', 'SHA512', 'c2VjcmV0', 'aG1hYw'])
  expect(page.findAllComponents(QrCode).map((one) => one.props('text'))).toEqual(['KEY_BASE64:c2VjcmV0 HMAC_KEY_BASE64:aG1hYw'])
  expect(page.text()).toContain('Shown only now.')
}

async function at(path: string) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      {
        path: '/devices',
        component: DevicesPage,
        children: [
          { path: 'new', component: AddDeviceSheet },
          { path: ':id', component: DeviceSheet },
        ],
      },
      { path: '/client', component: { template: '<p>knock</p>' } },
      { path: '/admin/audit/refusals', component: { template: '<p>refused</p>' } },
    ],
  })
  await router.push(path)
  const page = mount(DevicesPage, { global: { plugins: [router] }, attachTo: document.body })
  await flushPromises()
  const press = async (name: string) => {
    await page.findAll('button').find((one) => one.text() === name)?.trigger('click')
    await flushPromises()
  }
  return { page, press, router }
}

beforeEach(() => {
  vi.mocked(hasRoom).mockResolvedValue(true)
  vi.mocked(read).mockResolvedValue(undefined)
  document.body.replaceChildren()
  vi.useFakeTimers({ now: noon, toFake: ['Date'] })
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
  useSites().put(sampleSite())
  useSites().state = 'ready'
  vi.mocked(api.listDevices).mockResolvedValue([sampleDevice()])
  vi.mocked(api.addDevice).mockResolvedValue(made)
})

describe('devices', () => {
  it('say when and from where they knocked', async () => {
    vi.mocked(api.listDevices).mockResolvedValue([
      sampleDevice({ last_knock: when(-180_000), last_source: '203.0.113.24/32' }),
      sampleDevice({ id: 'never', name: 'fridge' }),
    ])
    const { page } = await at('/devices')
    expect(page.text()).toContain('Last knock 3 minutes ago from 203.0.113.24')
    expect(page.text()).toContain('Never used')
  })

  it('wait for the sites, which would move them', async () => {
    useSites().state = 'loading'
    const { page } = await at('/devices')
    expect(page.find('[aria-busy=true]').exists()).toBe(true)
    useSites().state = 'ready'
    await flushPromises()
    expect(page.find('[aria-busy=true]').exists()).toBe(false)
  })

  it('are enrolled by a code that waits for the first knock', async () => {
    const { page, press } = await at('/devices/new')
    await press('Show its code')
    expect(page.text()).toContain('Give it a name.')
    expect(api.addDevice).not.toHaveBeenCalled()
    await page.get('input:not([type=checkbox])').setValue(' tablet ')
    await press('Show its code')
    expect(api.addDevice).toHaveBeenCalledWith({
      name: 'tablet', site: 'home-id', require_claimed_source: false,
    })
    expect(page.text()).toContain(profile)
    expect(page.text()).toContain('Waiting for its first knock…')
    useSessions().apply(sampleSession({ device: 'new' }))
    useDevices().follow(sampleDevice({ id: 'new', last_knock: when(0), last_source: '203.0.113.24/32' }))
    await flushPromises()
    expect(page.text()).toContain('It works: knock from 203.0.113.24, 1 service open.')
  })

  it('tell how they knock', async () => {
    for (const [more, words] of [
      ['', 'It knocks by UDP at home.example.org:54754. There is no broker for networks that let no UDP through.'],
      ['&mqtt=tls%3A%2F%2Fbroker.example.org%3A8883', 'It knocks by UDP at home.example.org:54754, and through the broker broker.example.org:8883 where that gets no answer.'],
    ]) {
      vi.mocked(api.addDevice).mockResolvedValueOnce({ ...made, profile: profile + more })
      const { page, press } = await at('/devices/new')
      await page.get('input:not([type=checkbox])').setValue('tablet')
      await press('Show its code')
      expect(page.text()).toContain(words)
      page.unmount()
    }
  })

  it('can be an fwknop client where its site hears such', async () => {
    const { page, press } = await at('/devices/new')
    const kinds = () => page.findAll('option').map((one) => one.text())
    expect(kinds()).not.toContain('An fwknop client')
    useSites().put(sampleSite({ fwknop: true }))
    await flushPromises()
    expect(kinds()).toContain('An fwknop client')
    expect(kinds()).not.toContain('SHA512')
    await page.findAll('select')[0]?.setValue('fwknop')
    expect(page.text()).not.toContain('Use this browser')
    await page.findAll('select')[1]?.setValue('sha512')
    await page.get('input:not([type=checkbox])').setValue('server')
    vi.mocked(api.addDevice).mockResolvedValue(fwknop)
    await press('Show its keys')
    expect(api.addDevice).toHaveBeenCalledWith({
      name: 'server', site: 'home-id', require_claimed_source: false, fwknop: 'sha512',
    })
    expectKeys(page)
    useDevices().follow(sampleDevice({ id: 'new', fwknop: 'sha512', last_knock: when(0), last_source: '203.0.113.24/32' }))
    await flushPromises()
    expect(page.text()).toContain('Its keys work: a packet came from 203.0.113.24.')
    page.unmount()
    expect(JSON.stringify(useDevices().all)).not.toContain('c2VjcmV0')
  })

  it('knock as Ownline does at a site that hears no fwknop client', async () => {
    useSites().put(sampleSite({ fwknop: true }))
    const { page, press } = await at('/devices/new')
    await page.findAll('select')[0]?.setValue('fwknop')
    useSites().put(sampleSite())
    await flushPromises()
    await page.get('input:not([type=checkbox])').setValue('server')
    await press('Show its code')
    expect(api.addDevice).toHaveBeenCalledWith({ name: 'server', site: 'home-id', require_claimed_source: false })
  })

  it('get new keys for an fwknop client', async () => {
    vi.mocked(api.listDevices).mockResolvedValue([sampleDevice({ fwknop: 'sha256' })])
    vi.mocked(api.rotateDevice).mockResolvedValue({ ...fwknop, id: 'device-id' })
    const { page, press } = await at('/devices/device-id')
    expect(page.text()).toContain('An fwknop client')
    await press('Rotate key')
    expect(page.text()).toContain('Put the new lines in place of the old ones')
    await page.get('button[data-variant=danger]').trigger('click')
    await flushPromises()
    expectKeys(page)
  })

  it('can be this browser, which then goes on at the page Knock', async () => {
    const offer = vi.spyOn(useDevice(), 'offer').mockResolvedValue(undefined)
    const { press, router } = await at('/devices/new')
    await press('Use this browser')
    expect(offer).toHaveBeenCalledWith(profile)
    expect(router.currentRoute.value.path).toBe('/client')
  })

  it('are not made for a browser that keeps nothing', async () => {
    vi.mocked(hasRoom).mockResolvedValue(false)
    const { page, press } = await at('/devices/new')
    await press('Use this browser')
    expect(page.get('[role=alert]').text()).toContain('no room left')
    expect(api.addDevice).not.toHaveBeenCalled()
  })

  it('say why this browser can not be one', async () => {
    const { page, press } = await at('/devices/new')
    await press('Use this browser') // the profile has no broker
    expect(page.get('[role=alert]').text()).toContain('no broker that browsers reach')
    expect(page.text()).toContain(profile)
  })

  it('get a new key, and are revoked, only after a question', async () => {
    vi.mocked(api.rotateDevice).mockResolvedValue({ ...made, id: 'device-id' })
    vi.mocked(api.revokeDevice).mockResolvedValue(sampleDevice({ revoked: true }))
    const { page, press } = await at('/devices/device-id')
    await press('Rotate key')
    expect(api.rotateDevice).not.toHaveBeenCalled()
    expect(page.text()).toContain('The old key stops now.')
    await page.get('button[data-variant=danger]').trigger('click')
    await flushPromises()
    expect(page.text()).toContain(profile)
    page.unmount()

    const again = await at('/devices/device-id')
    await again.press('Revoke')
    expect(again.page.text()).toContain('Its sessions close at once.')
    await again.page.get('button[data-variant=danger]').trigger('click')
    await flushPromises()
    expect(api.revokeDevice).toHaveBeenCalledWith('device-id')
    expect(again.page.text()).toContain('Revoked')
  })

  it('are tested by a knock that somebody makes, which is waited for', async () => {
    const { page, press } = await at('/devices/device-id')
    useDevices().follow(sampleDevice({ last_knock: when(-60_000), last_source: '203.0.113.24/32' }))
    await press('Test it')
    expect(page.text()).toContain('Waiting for its next knock…')
    useSessions().apply(sampleSession({ device: 'device-id' }))
    await flushPromises()
    expect(page.text()).toContain('Waiting for its next knock…')
    useDevices().follow(sampleDevice({ last_knock: when(0), last_source: '198.51.100.7/32' }))
    await flushPromises()
    expect(page.text()).toContain('It works: knock from 198.51.100.7, 1 service open.')
    await press('Test it')
    expect(page.text()).toContain('Waiting for its next knock…')
  })

  it('of others are not said to open nothing', async () => {
    useAccount().me = sampleMe({ role: 'admin' })
    vi.mocked(api.lastKnocks).mockResolvedValue([])
    vi.mocked(api.listDevices).mockResolvedValue([sampleDevice({ user: 'bea-id' })])
    const { page, press } = await at('/devices/device-id')
    await press('Test it')
    expect(page.get('a[href="/admin/audit/refusals?site=home-id"]').text()).toBe('Refused knocks')
    useDevices().follow(sampleDevice({ user: 'bea-id', last_knock: when(0), last_source: '198.51.100.7/32' }))
    await flushPromises()
    expect(page.get('[role=status]').text()).toBe('It works: knock from 198.51.100.7.')
  })

  it.each(['unlocked', 'locked'] as const)('that are this browser, %s, are tested on the page Knock', async (state) => {
    const kept = state === 'unlocked' ? ({ keys: {} } as Opened) : undefined
    vi.mocked(read).mockResolvedValue({ device: 'device-id', name: 'phone', ...(kept && { kept }) } as StoredDevice)
    vi.mocked(openRest).mockResolvedValue({} as Rest)
    const knock = vi.spyOn(useKnock(), 'knock').mockResolvedValue()
    const { page, press, router } = await at('/devices/device-id')
    expect(page.text()).not.toContain('Test it')
    await press('Send a test')
    await vi.dynamicImportSettled()
    await flushPromises()
    expect(router.currentRoute.value.path).toBe('/client')
    expect(knock).toHaveBeenCalledTimes(state === 'unlocked' ? 1 : 0)
  })

  it('show admins what became of each knock', async () => {
    useAccount().me = sampleMe({ role: 'admin' })
    const knock = { at: when(0), from: '203.0.113.24' }
    vi.mocked(api.lastKnocks).mockResolvedValue([
      { ...knock, id: '1', outcome: 'renewed' }, { ...knock, id: '2', outcome: 'refused: 203.0.113.24 (FR) is refused by the list of the grant' },
    ])
    const { page } = await at('/devices/device-id')
    await flushPromises()
    const list = page.findAll('section li > p:first-child').map((one) => one.text())
    expect(list).toEqual(['Renewed its sessions', 'Refused'])
  })

  it('get no name that is too long, and keep what was written', async () => {
    const { page } = await at('/devices/device-id')
    const name = page.get<HTMLInputElement>('input:not([type=checkbox])')
    await name.setValue('p'.repeat(66))
    expect(page.text()).toContain('2 characters too many: 64 at most.')
    await page.get('form').trigger('submit')
    expect(page.text()).not.toContain('Save name')
    expect(api.changeDevice).not.toHaveBeenCalled()
    expect(name.element.value).toHaveLength(66)
    await name.setValue('p'.repeat(64))
    expect(page.text()).toContain('Save name')
  })

  it.each(['/devices/device-id', '/devices/new'])('are not left with a name that was typed in for nothing, at %s', async (path) => {
    const { page, router } = await at(path)
    const shut = async () => {
      page.get('dialog').element.dispatchEvent(new Event('cancel', { cancelable: true }))
      await flushPromises()
      return router.currentRoute.value.path
    }
    const name = page.get<HTMLInputElement>('dialog input')
    await name.setValue('pocket')
    expect(await shut()).toBe(path)
    expect(page.get('dialog .error').text()).toBe('Not saved yet. Close again to leave it so.')
    expect(document.activeElement).toBe(name.element)
    // What is written after that is asked for again.
    await name.setValue('pocket phone')
    expect(page.find('dialog .error').exists()).toBe(false)
    expect(await shut()).toBe(path)
    expect(await shut()).toBe('/devices')
    expect(api.changeDevice).not.toHaveBeenCalled()
    expect(api.addDevice).not.toHaveBeenCalled()
  })

  it.each(['/devices/device-id', '/devices/new'])('are left at once where nothing was typed in, at %s', async (path) => {
    const { page, router } = await at(path)
    page.get('dialog').element.dispatchEvent(new Event('cancel', { cancelable: true }))
    await flushPromises()
    expect(router.currentRoute.value.path).toBe('/devices')
  })

  it('open only from where an admin says', async () => {
    useAccount().me = sampleMe({ role: 'admin' })
    vi.mocked(api.lastKnocks).mockResolvedValue([])
    vi.mocked(api.listDevices).mockResolvedValue([sampleDevice({ allowed_from: ['ES'] })])
    const { page, press } = await at('/devices/device-id')
    const list = () => page.get<HTMLTextAreaElement>('textarea')
    await expect.poll(() => page.find('textarea').exists()).toBe(true)
    expect(list().element.value).toBe('ES')
    expect(page.text()).toContain('ES Spain')
    expect(page.text()).not.toContain('Save the list')

    // Refused: told at the field, and what was written stays.
    vi.mocked(api.changeDevice).mockRejectedValueOnce(new Problem(422, '', [{ field: 'allowed_from', message: 'has autonomous systems, and nobody knows whose addresses are: set policy.asn_database in web.yaml, or name networks alone' }]))
    await list().setValue('es as3352')
    await press('Save the list')
    expect(api.changeDevice).toHaveBeenCalledWith('device-id', { allowed_from: ['es', 'as3352'] })
    const described = list().attributes('aria-describedby')?.split(' ')[0] ?? ''
    expect(page.get(`[id="${described}"]`).text()).toContain('set policy.asn_database in web.yaml, or name networks alone.')
    expect(list().element).toBe(document.activeElement)
    expect(list().element.value).toBe('es as3352')

    vi.mocked(api.changeDevice).mockResolvedValueOnce(sampleDevice({ allowed_from: ['ES', 'PT'] }))
    await list().setValue('es, pt')
    expect(list().attributes('aria-invalid')).toBeUndefined()
    await press('Save the list')
    expect(list().element.value).toBe('ES, PT')
    expect(page.text()).not.toContain('Save the list')
  })

  it('are made to open only from there', async () => {
    useAccount().me = sampleMe({ role: 'admin' })
    const { page, press } = await at('/devices/new')
    await expect.poll(() => page.find('textarea').exists()).toBe(true)
    await page.get('input:not([type=checkbox])').setValue('tablet')
    await page.get('textarea').setValue('ESP')
    vi.mocked(api.addDevice).mockRejectedValueOnce(new Problem(422, '', [{ field: 'allowed_from', message: '"ESP" is no country like ES, no autonomous system like AS3352 and no network like 198.51.100.0/24' }]))
    await press('Show its code')
    expect(page.text()).toContain('"ESP" is no country like ES')
    expect(page.get('textarea').element).toBe(document.activeElement)
    await page.get('textarea').setValue('198.51.100.0/24')
    await press('Show its code')
    expect(api.addDevice).toHaveBeenLastCalledWith({ name: 'tablet', site: 'home-id', require_claimed_source: false, allowed_from: ['198.51.100.0/24'] })
  })

  it('show no list to others, who may not have one', async () => {
    const { page } = await at('/devices/device-id')
    await flushPromises()
    expect(page.find('textarea').exists()).toBe(false)
    const { page: adding } = await at('/devices/new')
    await flushPromises()
    expect(adding.find('textarea').exists()).toBe(false)
  })
})
