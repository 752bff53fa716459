import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h, nextTick } from 'vue'
import { RouterView } from 'vue-router'
import * as auditApi from '@/api/audit'
import * as grantsApi from '@/api/grants'
import { type Code, Problem } from '@/api/problem'
import * as refusalsApi from '@/api/refusals'
import * as servicesApi from '@/api/services'
import * as sessionsApi from '@/api/sessions'
import * as sitesApi from '@/api/sites'
import * as usersApi from '@/api/users'
import AppFrame from '@/components/frame/AppFrame.vue'
import { makeRouter } from '@/router'
import { useAccount } from '@/stores/account'
import { useNotices } from '@/stores/notices'
import { useServices } from '@/stores/services'
import { useSites } from '@/stores/sites'
import { at, sampleGrant, sampleMe, sampleService, sampleSession, sampleSite, sampleUser } from '@/testing/samples'

vi.mock('@/api/audit')
vi.mock('@/api/auth')
vi.mock('@/api/broker')
vi.mock('@/api/events')
vi.mock('@/api/grants')
vi.mock('@/api/refusals')
vi.mock('@/api/services', { spy: true })
vi.mock('@/api/sessions')
vi.mock('@/api/sites', { spy: true })
vi.mock('@/api/users')
vi.mock('@/api/whoami')

const pin = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'
const site = sampleSite({
  pin, ipv6_prefix: 64, core_version: '1.2.3', applied_revision: 7, wanted_revision: 9, firewall: 'another table is in the way',
  firewall_lacks: 'no filter: the kernel refuses the table',
  proxy: { driver: 'nginx', domain: 'home.example.org', port: 9999, serves: true, root: false, certificate_expires: at(90 * 86_400_000) },
})
const wiki = sampleService({ id: 'wiki-id', name: 'wiki', kind: 'proxy', target: '192.168.7.12:80', options: {} })

beforeEach(() => {
  setActivePinia(createPinia())
  vi.mocked(auditApi.auditPage).mockResolvedValue({ items: [], next: undefined })
  vi.mocked(grantsApi.listGrants).mockResolvedValue([sampleGrant()])
  vi.mocked(servicesApi.listServices).mockResolvedValue([sampleService(), wiki])
  vi.mocked(sessionsApi.listLive).mockResolvedValue([sampleSession()])
  vi.mocked(sitesApi.listSites).mockResolvedValue([site])
  vi.mocked(sitesApi.pingSite).mockResolvedValue(12.4)
  vi.mocked(sitesApi.sitePending).mockResolvedValue({
    applied_revision: 7, wanted_revision: 9, connected: true, known: true, total: 3,
    sessions: [{ session: sampleSession(), wanted: 'open' }],
  })
  vi.mocked(usersApi.listUsers).mockResolvedValue([sampleUser(), sampleUser({ id: 'marc-id', name: 'marc', role: 'admin' })])
  vi.mocked(usersApi.everyDevice).mockResolvedValue([])
})
let leave: () => void = () => undefined
afterEach(() => {
  leave()
  document.body.innerHTML = ''
})

async function open(path: string, role: 'admin' | 'user' = 'admin') {
  const account = useAccount()
  account.me = sampleMe({ id: 'marc-id', name: 'marc', role })
  account.state = 'in'
  await Promise.all([useServices().load(), useSites().load()])
  const router = makeRouter()
  await router.push(path)
  const page = mount(defineComponent(() => () => h(AppFrame, () => h(RouterView))), {
    attachTo: document.body, global: { plugins: [router] },
  })
  leave = () => page.unmount()
  await flushPromises()
  const press = async (name: string) => {
    const button = page.findAll('button').findLast((one) => (one.attributes('aria-label') ?? one.text()) === name)
    await button?.trigger('click')
    await flushPromises()
    return button !== undefined
  }
  const fill = async (label: string, value: string) => {
    const found = page.findAll('label').find((one) => one.text() === label)
    await page.get(`[id="${found?.attributes('for')}"]`).setValue(value)
  }
  return { page, router, press, fill }
}

const refused = (field: string, message: string, status = 422, code?: Code) => new Problem(status, `${field}: ${message}`, [{ field, message, code }])

it.each(['users', 'services', 'grants', 'sites', 'audit', 'audit/refusals'])('keeps others out of %s', async (name) => {
  const { page } = await open(`/admin/${name}`, 'user')
  expect(page.text()).toContain('This is for admins.')
  expect(usersApi.listUsers).not.toHaveBeenCalled()
  expect(auditApi.auditPage).not.toHaveBeenCalled()
  expect(refusalsApi.listRefusals).not.toHaveBeenCalled()
})

it.each(['/admin/services', '/admin/audit'])('%s waits for the sites, whose names would move its rows', async (path) => {
  const { page } = await open(path)
  expect(page.find('[aria-busy=true]').exists()).toBe(false)
  useSites().state = 'loading'
  await nextTick()
  expect(page.find('[aria-busy=true]').exists()).toBe(true)
})

it('floats over lists what makes something new, but nothing else', async () => {
  vi.spyOn(window, 'matchMedia').mockReturnValue(Object.assign(new EventTarget(), { matches: false }) as MediaQueryList)
  for (const [name, floats] of [['users', 'true'], ['services', 'true'], ['sites', 'false'], ['audit', 'false']]) {
    const { page } = await open(`/admin/${name}`)
    expect(page.get('.head .action').attributes('data-floats'), name).toBe(floats)
    leave()
  }
})

it.each(['users', 'services', 'grants', 'sites', 'audit'])('%s lead back to the settings on a phone', async (name) => {
  const { page } = await open(`/admin/${name}`)
  expect(page.find('a[aria-label=Back]').exists()).toBe(false)
  leave()
  vi.spyOn(window, 'matchMedia').mockReturnValue(Object.assign(new EventTarget(), { matches: false }) as MediaQueryList)
  const narrow = await open(`/admin/${name}`)
  expect(narrow.page.get('a[aria-label=Back]').attributes('href')).toBe('/settings')
})

describe('users', () => {
  it('are left by a button that says what it closes', async () => {
    const { router, press } = await open('/admin/users/ana-id')
    expect(await press('Close')).toBe(false)
    expect(await press('Close these details')).toBe(true)
    expect(router.currentRoute.value.path).toBe('/admin/users')
  })

  it('are listed with what they have', async () => {
    const { page } = await open('/admin/users')
    const ana = page.findAll('li, tbody tr').find((one) => one.text().includes('ana'))
    expect(ana?.text()).toMatch(/0 devices · 1 open session|0\s*1/)
    expect(ana?.text()).toContain('Not lately')
  })

  it('are listed with their last sign-in', async () => {
    vi.mocked(usersApi.listUsers).mockResolvedValue([sampleUser({ last_sign_in: new Date(Date.now() - 7_200_000).toISOString() })])
    const { page } = await open('/admin/users')
    expect(page.text()).toContain('2 hours ago')
  })

  it('are shown failed, with a way out', async () => {
    vi.mocked(usersApi.listUsers).mockRejectedValue(new Problem(500))
    const { page, press } = await open('/admin/users')
    expect(page.text()).toContain("The users can't be shown.")
    vi.mocked(usersApi.listUsers).mockResolvedValue([sampleUser()])
    await press('Try again')
    expect(page.text()).toContain('ana')
  })

  it('are shown at once, not before the names of their services are known', async () => {
    const { page } = await open('/admin/users/ana-id')
    expect(page.text()).toMatch(/May use\s*photos/)
    useServices().clear()
    const loaded = useServices().load()
    await nextTick()
    expect(page.text()).not.toContain('May use')
    await loaded
    await nextTick()
    expect(page.text()).toMatch(/May use\s*photos/)
  })

  it('get a password that is shown once', async () => {
    vi.mocked(usersApi.addUser).mockResolvedValue(sampleUser({ id: 'eva-id', name: 'eva' }))
    const { page, press, fill } = await open('/admin/users/new')
    await fill('User name', 'Eva!')
    await press('Add user')
    expect(page.find('[aria-invalid]').exists()).toBe(true)
    expect(usersApi.addUser).not.toHaveBeenCalled()
    // Keyboards of phones put a space behind what they propose.
    await fill('User name', ' eva ')
    await press('Add user')
    const { name, password, role } = vi.mocked(usersApi.addUser).mock.lastCall?.[0] ?? {}
    expect(name).toBe('eva')
    expect(role).toBe('user')
    expect(password).toMatch(/^([a-z2-9]{4}-){4}[a-z2-9]{4}$/)
    expect(page.get('dialog').text()).toContain(password)
  })

  it('are deleted only when their name is typed', async () => {
    vi.mocked(usersApi.removeUser).mockResolvedValue()
    const { page, press, fill, router } = await open('/admin/users/ana-id')
    await press('Delete')
    await press('Delete')
    expect(usersApi.removeUser).not.toHaveBeenCalled()
    await fill('Type “ana” to go on', 'ana')
    await press('Delete')
    expect(usersApi.removeUser).toHaveBeenCalledWith('ana-id')
    await expect.poll(() => router.currentRoute.value.path).toBe('/admin/users')
    expect(page.text()).not.toContain('Reset sign-in')
  })

  it('get a new sign-in: another password, and no second factor', async () => {
    vi.mocked(usersApi.changeUser).mockResolvedValue(sampleUser({ must_change_password: true }))
    const { page, press } = await open('/admin/users/ana-id')
    await press('Reset sign-in')
    await press('Reset sign-in')
    const password = vi.mocked(usersApi.changeUser).mock.lastCall?.[1].password
    expect(usersApi.resetFactors).toHaveBeenCalledWith('ana-id')
    expect(page.get('dialog').text()).toContain(password)
  })

  it('are found by what is typed, once they are many', async () => {
    const many = ['ana', 'bea', 'carl', 'dora', 'eva', 'finn', 'gus', 'hanna', 'ida'].map((name) => sampleUser({ id: `${name}-id`, name }))
    vi.mocked(usersApi.listUsers).mockResolvedValue(many)
    const { page, fill } = await open('/admin/users')
    const names = () => page.findAll('main a[href^="/admin/users/"]').map((one) => one.text())
    expect(names()).toHaveLength(9)
    await fill('Find a user', ' AN')
    expect(names()).toEqual(['ana', 'hanna'])
    await fill('Find a user', 'nobody like it')
    expect(page.text()).toContain('Nothing matches.')
  })

  it('are found by a key', async () => {
    vi.mocked(usersApi.listUsers).mockResolvedValue(Array.from({ length: 9 }, (_, n) => sampleUser({ id: `user-${n}`, name: `user-${n}` })))
    const { page } = await open('/admin/users')
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }))
    expect(document.activeElement).toBe(page.get('main input[type=search]').element)
  })

  it('say why something was refused, where it was asked', async () => {
    vi.mocked(usersApi.changeUser).mockRejectedValue(refused('disabled', 'this is the last admin', 409))
    const { page, press } = await open('/admin/users/ana-id')
    await press('Disable')
    await press('Disable')
    expect(page.get('dialog [role=alert]').text()).toContain('this is the last admin')
  })
})

describe('services', () => {
  it('are made of a form, and checked by the core', async () => {
    vi.mocked(sitesApi.reachTarget).mockResolvedValueOnce({ answered: false, took_ms: 1, failure: 'refused' })
    vi.mocked(sitesApi.reachTarget).mockResolvedValueOnce({ answered: true, took_ms: 3.2 })
    vi.mocked(servicesApi.addService).mockResolvedValue(sampleService({ id: 'nas-id', name: 'nas' }))
    const { page, press, fill } = await open('/admin/services/new')
    await press('Add service')
    expect(page.text()).toContain('Give it a name.')
    await fill('Name', 'nas')
    await fill('Address in the LAN', '192.168.7.10')
    await fill('Port', '8080')
    await press('Check target')
    expect(sitesApi.reachTarget).toHaveBeenCalledWith('home-id', '192.168.7.10:8080')
    expect(page.text()).toContain('Refused: nothing listens on 192.168.7.10:8080.')
    await press('Check target')
    expect(page.text()).toContain('Answered in 3 ms')
    await press('Add service')
    expect(servicesApi.addService).toHaveBeenCalledWith({
      site: 'home-id', name: 'nas', kind: 'proxy', transport: 'tcp', target: '192.168.7.10:8080', options: {},
    })
  })

  it('show what the server has against a field at that field', async () => {
    vi.mocked(servicesApi.changeService).mockRejectedValue(refused('target', 'is in none of the networks'))
    const { page, press, fill } = await open('/admin/services/photos-id')
    await fill('Address in the LAN', '10.0.0.1')
    await press('Save')
    expect(page.get('[aria-invalid]').element).toBe(document.activeElement)
    expect(page.text()).toContain('is in none of the networks.')
  })

  it('say at the port that it is none', async () => {
    const { page, press, fill } = await open('/admin/services/photos-id')
    await fill('Port', '70000')
    await press('Save')
    expect(servicesApi.changeService).not.toHaveBeenCalled()
    expect(page.get('[aria-invalid]').element).toBe(document.activeElement)
    expect(page.get('[aria-invalid]').attributes('placeholder')).toBe('8080')
    expect(page.text()).toContain('A port is a number from 1 to 65535.')
  })

  it('list the fields that are wrong, and lead to each', async () => {
    const { page, press, fill } = await open('/admin/services/photos-id')
    await fill('Name', '')
    await press('Save')
    expect(page.text()).not.toContain('Look at these again:')
    await fill('Port', '70000')
    await press('Save')
    expect(page.get('.summary').text()).toContain('Look at these again:')
    await press('Save')
    expect(page.get('[aria-invalid]').element).toBe(document.activeElement)
    await press('Port')
    expect(document.activeElement?.getAttribute('placeholder')).toBe('8080')
  })

  it('have their template checked before it is kept', async () => {
    vi.mocked(servicesApi.previewService).mockRejectedValue(refused('options.template', 'line 3: unknown directive'))
    const { page, press, fill } = await open('/admin/services/wiki-id')
    await fill('nginx template', 'server {')
    await press('Save')
    expect(page.text()).toContain('Line 3: unknown directive.')
    expect(servicesApi.changeService).not.toHaveBeenCalled()
  })

  it('are deleted only when their name is typed', async () => {
    vi.mocked(servicesApi.removeService).mockResolvedValue()
    const { press, fill } = await open('/admin/services/photos-id')
    await press('Delete service')
    await press('Delete service')
    expect(servicesApi.removeService).not.toHaveBeenCalled()
    await fill('Type “photos” to go on', 'photos')
    await press('Delete service')
    expect(servicesApi.removeService).toHaveBeenCalledWith('photos-id')
  })
})

describe('sites', () => {
  it('say how they are and what is wrong', async () => {
    const { page } = await open('/admin/sites')
    const text = page.text()
    for (const words of ['Reachable', '12 ms', '2 changes waiting', '1 open session', 'Core 1.2.3', 'Firewall: another table is in the way', 'The firewall works, but with no filter: the kernel refuses the table', 'ownline-core doctor', 'The certificate of its names is good until']) {
      expect(text).toContain(words)
    }
  })

  it('tell what is not applied yet', async () => {
    const { page } = await open('/admin/sites/home-id')
    expect(page.text()).toContain('Open photos for 203.0.113.24')
    expect(page.text()).toContain('and 2 more')
  })

  it('say that what is not applied could not be fetched, and ask again', async () => {
    vi.mocked(sitesApi.sitePending).mockRejectedValueOnce(new Problem(500))
    const { page, press } = await open('/admin/sites/home-id')
    expect(page.get('[role=alert]').text()).toBe("It can't be told what core holds.")
    await press('Try again')
    expect(page.text()).toContain('Open photos for 203.0.113.24')
  })

  it('close everything only when the name is typed', async () => {
    vi.mocked(sitesApi.flushSite).mockResolvedValue(2)
    const { press, fill } = await open('/admin/sites/home-id')
    await press('Close all sessions here')
    await press('Close all sessions here')
    expect(sitesApi.flushSite).not.toHaveBeenCalled()
    await fill('Type “Home” to go on', 'Home')
    await press('Close all sessions here')
    expect(sitesApi.flushSite).toHaveBeenCalledWith('home-id')
    expect(useNotices().shown.at(-1)?.text).toBe('2 sessions are closed')
  })

  it('tell from where they open, and are told', async () => {
    const told = [{ field: 'allowed_from', message: 'has countries, and nobody knows where addresses are: set policy.geoip_database in web.yaml, or name networks alone' }]
    vi.mocked(sitesApi.changeSite).mockRejectedValueOnce(new Problem(422, '', told)).mockResolvedValueOnce(sampleSite({ ...site, allowed_from: ['ES'] }))
    const { page, press, fill } = await open('/admin/sites/home-id')
    const from = () => page.findAll('dl div').find((one) => one.text().startsWith('Opens from'))?.text()
    expect(from()).toBe('Opens fromAnywhere')
    await press('Change')
    await expect.poll(() => page.find('dialog textarea').exists()).toBe(true)
    await fill('Only from', 'es')
    await press('Save')
    expect(sitesApi.changeSite).toHaveBeenCalledWith('home-id', { allowed_from: ['es'] })
    expect(page.get('dialog').text()).toContain('set policy.geoip_database in web.yaml')
    expect(page.get('dialog textarea').attributes('aria-invalid')).toBe('true')
    await press('Save')
    expect(page.find('dialog').exists()).toBe(false)
    expect(from()).toBe('Opens fromSpain')
  })

  it.each([
    [new Problem(503, '', [{ field: 'code', message: 'not met' }]), 'Nothing answered at 192.168.7.1:57329.'],
    [refused('code', 'too old', 422, 'pairing_old'), 'The code is older than 10 minutes. Run it again.'],
    [refused('code', 'another key', 422, 'pairing_wrong_key'), 'The key is not the one in the code. Stop and find out why.'],
  ])('pair, or say why not', async (problem, words) => {
    vi.mocked(sitesApi.addSite).mockRejectedValueOnce(problem).mockResolvedValueOnce(sampleSite({ id: 'beach-id', name: 'beach' }))
    const { page, press, fill } = await open('/admin/sites/pair')
    await fill('Line of the router', 'ownline-core://half')
    await press('Pair a site')
    expect(sitesApi.addSite).not.toHaveBeenCalled()
    const code = `ownline-core://192.168.7.1:57329?pin=${pin}&token=x`
    await fill('Line of the router', code)
    await fill('Name', 'beach')
    await fill('Public host name', 'beach.example.org')
    expect(page.text()).toContain('192.168.7.1:57329')
    await press('Pair a site')
    expect(page.get('dialog [role=alert]').text()).toContain(words)
    await press('Pair a site')
    expect(sitesApi.addSite).toHaveBeenLastCalledWith(code, 'beach', 'beach.example.org')
    expect(useNotices().shown.at(-1)?.text).toBe('beach is paired')
  })
})

describe('a detail on a phone', () => {
  beforeEach(() => {
    vi.spyOn(window, 'matchMedia').mockReturnValue(Object.assign(new EventTarget(), { matches: false }) as MediaQueryList)
  })

  it.each([
    ['/admin/users/ana-id', usersApi.listUsers, "The users can't be shown.", 'Reset sign-in'],
    ['/admin/services/photos-id', servicesApi.listServices, "The services can't be shown.", 'Delete service'],
    ['/admin/services/new', sitesApi.listSites, "The services can't be shown.", 'Add service'],
    ['/admin/sites/home-id', sitesApi.listSites, "The sites can't be shown.", 'Apply everything again'],
  ])('says that it can not be shown, with a way out: %s', async (path, list, words, there) => {
    const ask = vi.mocked<() => Promise<unknown>>(list)
    const all = await ask()
    ask.mockRejectedValue(new Problem(500))
    const { page, press } = await open(path)
    expect(page.get('[role=alert]').text()).toContain(words)
    ask.mockResolvedValue(all)
    await press('Try again')
    expect(page.text()).toContain(there)
  })
})

describe('the audit log', () => {
  it('says that the rest could not be fetched', async () => {
    vi.mocked(auditApi.auditPage).mockResolvedValueOnce({ items: [{ id: '1', at: at(0), action: 'user.add', by: 'login', subject: '', detail: '' } as auditApi.AuditLine], next: 'x' })
    const { page, press } = await open('/admin/audit')
    vi.mocked(auditApi.auditPage).mockRejectedValue(new Problem(500))
    await press('Show more')
    expect(page.get('[role=alert]').text()).toBe("The rest can't be shown.")
  })

  it('has its filters a key away', async () => {
    const { page } = await open('/admin/audit')
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }))
    expect(document.activeElement).toBe(page.get('select').element)
  })

  it('is narrowed by what stands in the address', async () => {
    const { page, router } = await open('/admin/audit?action=user&actor=ana-id&from=2030-05-01&until=2030-05-02')
    expect(vi.mocked(auditApi.auditPage).mock.lastCall?.[0]).toMatchObject({ action: 'user', actor: 'ana-id', from: new Date('2030-05-01T00:00').toISOString(), until: new Date('2030-05-03T00:00').toISOString() })
    await page.get('select[aria-label=What]').setValue('site')
    await expect.poll(() => router.currentRoute.value.query['action']).toBe('site')
    await flushPromises()
    expect(vi.mocked(auditApi.auditPage).mock.lastCall?.[0]).toMatchObject({ action: 'site', actor: 'ana-id' })
    expect(page.text()).toContain('Nothing matches.')
  })
})

describe('refused knocks', () => {
  const line = (change: Partial<refusalsApi.Refusal>): refusalsApi.Refusal => ({
    site: 'home-id', site_name: 'Home', reason: 'time', number: 1, first: at(-60_000), latest: at(-60_000), ...change,
  })

  it('are counted by reason, and each opens to whose they were', async () => {
    const { site: _, site_name: __, ...ofBroker } = line({ reason: 'broker_noise', number: 2 })
    vi.mocked(refusalsApi.listRefusals).mockResolvedValue([
      line({ device: 'phone-id', device_name: 'phone', user_name: 'ana', number: 12 }),
      line({ device: 'laptop-id', device_name: 'laptop', user_name: 'ana', number: 3 }),
      line({ reason: 'kernel_garbage', number: 40_000 }), ofBroker,
      line({ reason: 'of_tomorrow' }),
    ])
    const { page } = await open('/admin/audit/refusals')
    expect(refusalsApi.listRefusals).toHaveBeenCalledWith(7, '')
    const reasons = page.findAll('summary').map((one) => one.text())
    expect(reasons).toHaveLength(4)
    expect(reasons[0]).toMatch(/^Its clock is off\s*15 times/)
    expect(reasons.join('\n')).toMatch(/Noise\s*40,000 times/)
    expect(reasons.join('\n')).toMatch(/of_tomorrow\s*Once/)
    expect(page.get('details').text()).toMatch(/ana · phone\s*12 times/)
    expect(page.text()).toContain('Of no device that is known · through the broker')
  })

  it('are those of the site and the days in the address, empty or failed', async () => {
    vi.mocked(refusalsApi.listRefusals).mockResolvedValue([])
    const { page, router } = await open('/admin/audit/refusals?site=home-id&days=30')
    expect(refusalsApi.listRefusals).toHaveBeenCalledWith(30, 'home-id')
    expect(page.text()).toContain('No knock was refused.')
    vi.mocked(refusalsApi.listRefusals).mockRejectedValue(new Problem(500))
    await page.get('input[value="90"]').setValue(true)
    await expect.poll(() => router.currentRoute.value.query['days']).toBe('90')
    await flushPromises()
    expect(page.get('[role=alert]').text()).toContain("The refused knocks can't be shown.")
  })

  it('are led to from the log, and from a site to its own', async () => {
    const audit = await open('/admin/audit')
    expect(audit.page.find('a[href="/admin/audit/refusals"]').exists()).toBe(true)
    leave()
    const one = await open('/admin/sites/home-id')
    expect(one.page.find('a[href="/admin/audit/refusals?site=home-id"]').exists()).toBe(true)
  })
})
