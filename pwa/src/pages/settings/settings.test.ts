import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import * as channels from '@/api/channels'
import * as factors from '@/api/factors'
import * as logins from '@/api/logins'
import * as passkeys from '@/api/passkeys'
import { Problem } from '@/api/problem'
import * as tokens from '@/api/tokens'
import { makeRouter } from '@/router'
import { useAccount } from '@/stores/account'
import { useNotices } from '@/stores/notices'
import { at, sampleMe } from '@/testing/samples'
import NotificationsPage from './NotificationsPage.vue'
import SettingsPage from './SettingsPage.vue'
import SignInPage from './SignInPage.vue'
import TokensPage from './TokensPage.vue'

vi.mock('@/api/auth')
vi.mock('@/api/channels')
vi.mock('@/api/factors')
vi.mock('@/api/logins')
vi.mock('@/api/tokens')
vi.mock('@/api/passkeys', async (original) => ({
  ...(await original<typeof passkeys>()),
  canPasskey: () => true,
  addPasskey: vi.fn<typeof passkeys.addPasskey>(),
}))

enableAutoUnmount(afterEach)

const needed = new Problem(403, '', [{ field: 'password', message: 'is needed for this' }])
const phone: factors.Passkey = { id: 'key', name: 'my phone', created: at(0), cloned: false }
const here: logins.Login = {
  id: 'here', user: 'ana-id', user_name: 'ana', method: 'password', address: '203.0.113.24',
  agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0',
  created: at(0), seen: at(0), expires: at(1), current: true,
}
const there: logins.Login = { ...here, id: 'there', current: false, method: 'passkey' }
const script: tokens.Token = {
  id: 'token', user: 'ana-id', user_name: 'ana', name: 'backup', scopes: ['read', 'sessions'], created: at(0),
}

// happy-dom knows no popovers.
HTMLElement.prototype.hidePopover ??= () => {}

let wide = false

beforeEach(() => {
  vi.spyOn(window, 'matchMedia').mockImplementation(
    () => ({ matches: wide, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList,
  )
  vi.mocked(auth.methods).mockResolvedValue({ password: true, passkeys: true })
  vi.mocked(factors.factors).mockResolvedValue({ password: true, totp: false, recovery_codes: 0, passkeys: 1 })
  vi.mocked(factors.passkeys).mockResolvedValue([phone])
  vi.mocked(factors.providerLinks).mockResolvedValue([])
  vi.mocked(logins.listLogins).mockResolvedValue([there, here])
  vi.mocked(tokens.listTokens).mockResolvedValue([script])
  vi.mocked(channels.listChannels).mockResolvedValue([])
})

async function show(page: object, path: string, role: 'admin' | 'user' = 'user') {
  const pinia = createPinia()
  setActivePinia(pinia)
  vi.mocked(auth.me).mockResolvedValue(sampleMe({ role }))
  await useAccount().load()
  const router = makeRouter()
  await router.push(path)
  const root = document.createElement('div')
  document.body.append(root)
  const shown = mount(page, { attachTo: root, global: { plugins: [pinia, router] } })
  await flushPromises()
  await vi.dynamicImportSettled()
  await flushPromises()
  /** Presses the button of that name, the last one: that of what is on top. */
  async function press(name: string): Promise<void> {
    const found = shown
      .findAll('button')
      .findLast((one) => (one.attributes('aria-label') ?? one.text()) === name)
    if (!found) throw new Error(`no button ${name}`)
    await found.trigger('click')
    await flushPromises()
  }
  const dialog = () => shown.findAll('dialog').at(-1)
  return { shown, press, dialog, router }
}

describe('settings', () => {
  afterEach(() => (wide = false))

  it('are a list on a phone, with the administration for admins', async () => {
    const user = await show(SettingsPage, '/settings')
    expect(user.shown.findAll('a').map((link) => link.attributes('href'))).toEqual([
      '/settings/look', '/settings/sign-in', '/settings/tokens', '/settings/notifications', '/settings/app',
    ])
    const admin = await show(SettingsPage, '/settings', 'admin')
    expect(admin.shown.text()).toContain('Audit log')
  })

  it('stand beside a page in a wide window', async () => {
    wide = true
    const { router } = await show(SettingsPage, '/settings')
    await vi.waitFor(() => expect(router.currentRoute.value.path).toBe('/settings/look'))
  })
})

describe('the password', () => {
  it('says at the field what is wrong, and then changes', async () => {
    vi.mocked(auth.changePassword).mockRejectedValueOnce(
      new Problem(403, '', [{ field: 'current', message: 'is not right' }]),
    )
    const { shown, press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Change password')
    const [present, next] = dialog()?.findAll('input[type=password]') ?? []
    await present?.setValue('wrong')
    await next?.setValue('short')
    await press('Change password')
    expect(dialog()?.text()).toContain('Use at least 12 characters.')
    await next?.setValue('a good long password')
    await press('Change password')
    expect(dialog()?.text()).toContain('That is not your present password.')
    vi.mocked(auth.changePassword).mockResolvedValueOnce()
    await press('Change password')
    expect(auth.changePassword).toHaveBeenLastCalledWith('wrong', 'a good long password', false)
    expect(shown.find('dialog').exists()).toBe(false)
  })
})

describe('passkeys', () => {
  it('are added, after a proof if the server wants one', async () => {
    vi.mocked(passkeys.addPasskey).mockRejectedValueOnce(needed).mockResolvedValueOnce(phone)
    const { shown, press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Add a passkey')
    await dialog()?.get('input').setValue('laptop')
    await press('Add a passkey')
    expect(dialog()?.text()).toContain('Confirm that it is you')
    await dialog()?.get('input').setValue('my password')
    await press('Go on')
    expect(passkeys.addPasskey).toHaveBeenLastCalledWith('laptop', { password: 'my password' })
    expect(shown.find('dialog').exists()).toBe(false)
  })

  it('are not made with a name that the server would not take', async () => {
    const { press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Add a passkey')
    await dialog()?.get('input').setValue('k'.repeat(65))
    await press('Add a passkey')
    expect(dialog()?.text()).toContain('1 character too many: 64 at most.')
    expect(passkeys.addPasskey).not.toHaveBeenCalled()
  })

  it('sends who has no password to sign in anew', async () => {
    vi.mocked(factors.factors).mockResolvedValue({ password: false, totp: false, recovery_codes: 0, passkeys: 0 })
    vi.mocked(passkeys.addPasskey).mockRejectedValueOnce(needed)
    const { press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Add a passkey')
    await dialog()?.get('input').setValue('laptop')
    await press('Add a passkey')
    expect(dialog()?.text()).toContain('Your account has no password to ask for.')
    expect(dialog()?.find('input').exists()).toBe(false)
    await press('Sign out')
    expect(auth.logout).toHaveBeenCalled()
  })

  it('say so when none was made', async () => {
    vi.mocked(passkeys.addPasskey).mockRejectedValueOnce(new passkeys.NotUsed())
    const { press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Add a passkey')
    await dialog()?.get('input').setValue('laptop')
    await press('Add a passkey')
    expect(dialog()?.text()).toContain('No passkey was made.')
  })

  it('are kept when one is the last way to sign in', async () => {
    vi.mocked(factors.removePasskey).mockRejectedValueOnce(new Problem(409, 'it is the last way'))
    const { shown, press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Remove')
    await press('Remove')
    expect(dialog()?.get('[role=alert]').text()).toContain('It is your last way to sign in.')
    vi.mocked(factors.removePasskey).mockResolvedValueOnce()
    await press('Remove')
    expect(shown.find('dialog').exists()).toBe(false)
    expect(shown.text()).not.toContain('my phone')
  })

  it('take a new name at once, and the old one when it is refused', async () => {
    vi.mocked(factors.renamePasskey).mockRejectedValueOnce(new Problem(0))
    const { shown, press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Rename')
    await dialog()?.get('input').setValue('blue key')
    await press('Save')
    expect(dialog()?.text()).toContain("can't be reached")
    expect(shown.text()).toContain('my phone')
  })
})

describe('the authenticator app', () => {
  it('is turned on by a code, and shows the recovery codes', async () => {
    vi.mocked(factors.offerApp).mockResolvedValue({ secret: 'ABC', uri: 'otpauth://totp/x?secret=ABC', qr: '' })
    vi.mocked(factors.confirmApp).mockRejectedValueOnce(new Problem(422)).mockResolvedValueOnce(['one', 'two'])
    const { press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Turn on')
    await vi.waitFor(() => expect(dialog()?.find('svg[role=img]').exists()).toBe(true), 20_000)
    await press('Confirm')
    expect(dialog()?.text()).toContain('Enter the 6 digits')
    expect(factors.confirmApp).not.toHaveBeenCalled()
    await dialog()?.get('input').setValue('123 456')
    await press('Confirm')
    expect(factors.confirmApp).toHaveBeenCalledWith('123456')
    expect(dialog()?.text()).toContain('That code is not right, or too old.')
    await press('Confirm')
    expect(dialog()?.text()).toContain('They are shown only now.')
    expect(dialog()?.findAll('li').map((code) => code.text())).toEqual(['one', 'two'])
  })

  it('keeps its code when the second of two taps that asked for it comes late', async () => {
    vi.mocked(factors.offerApp).mockResolvedValue({ secret: 'ABC', uri: 'otpauth://totp/x?secret=ABC', qr: '' })
    const { shown, press, dialog } = await show(SignInPage, '/settings/sign-in')
    await press('Turn on')
    for (const button of shown.findAll('dialog .foot button, dialog .head button')) await button.trigger('click', { detail: 1 })
    expect(dialog()?.text()).toContain('ABC')
    expect(dialog()?.text()).not.toContain('Enter the 6 digits')
  })

  it('is turned off with a code as the proof', async () => {
    vi.mocked(factors.factors).mockResolvedValue({ password: true, totp: true, recovery_codes: 7, passkeys: 0 })
    vi.mocked(factors.removeApp).mockRejectedValueOnce(needed).mockResolvedValueOnce()
    const { shown, press, dialog } = await show(SignInPage, '/settings/sign-in')
    expect(shown.text()).toContain('7 recovery codes left')
    await press('Turn off')
    await press('Turn off')
    await press('Use a code instead')
    await dialog()?.get('input').setValue('123456')
    await press('Go on')
    expect(factors.removeApp).toHaveBeenLastCalledWith({ otp: '123456' })
  })
})

describe('signed-in browsers', () => {
  it('are signed out one by one, this one first in the list', async () => {
    vi.mocked(logins.endLogin).mockRejectedValueOnce(new Problem(0)).mockResolvedValueOnce()
    const { shown, press } = await show(SignInPage, '/settings/sign-in')
    const names = () => shown.findAll('li').map((row) => row.text()).filter((text) => text.includes('Firefox'))
    expect(names()[0]).toContain('This browser')
    expect(names()[1]).toContain('by passkey')
    await press('Sign out Firefox on Linux')
    expect(names()).toHaveLength(2)
    expect(useNotices().shown.at(-1)?.bad).toBe(true)
    await press('Sign out Firefox on Linux')
    expect(names()).toHaveLength(1)
    expect(logins.endLogin).toHaveBeenLastCalledWith('there')
  })
})

describe('API tokens', () => {
  it('show their value once', async () => {
    vi.mocked(tokens.addToken).mockResolvedValue({ ...script, id: 'new', name: 'grafana', token: 'own_secret' })
    const { shown, press, dialog } = await show(TokensPage, '/settings/tokens')
    expect(shown.text()).toContain('Open, extend and close your sessions')
    await press('New token')
    await press('Create token')
    expect(dialog()?.text()).toContain('Give it a name.')
    expect(dialog()?.text()).not.toContain('What only admins may do')
    await dialog()?.get('input').setValue('grafana')
    await press('Create token')
    expect(vi.mocked(tokens.addToken).mock.calls[0]?.[0]).toMatchObject({ name: 'grafana', scopes: ['read'] })
    expect(dialog()?.text()).toContain('own_secret')
    await dialog()?.trigger('cancel') // by a key that was for something else
    expect(dialog()?.text()).toMatch(/own_secret.*nobody can show it again/s)
    await press('I have kept it')
    expect(shown.text()).not.toContain('own_secret')
    expect(shown.text()).toContain('grafana')
  })

  it('are revoked after a question', async () => {
    vi.mocked(tokens.removeToken).mockResolvedValue()
    const { shown, press } = await show(TokensPage, '/settings/tokens')
    await press('Revoke the token “backup”')
    expect(tokens.removeToken).not.toHaveBeenCalled()
    await press('Revoke')
    expect(tokens.removeToken).toHaveBeenCalledWith('token')
    expect(shown.text()).toContain('No API tokens.')
  })
})

describe('channels', () => {
  const ops: channels.Channel = {
    name: 'ops', service: 'telegram', events: ['site.down'], waiting: 0, sent: 3, lost: 0, failing: false,
  }

  it('are for admins', async () => {
    const { shown } = await show(NotificationsPage, '/settings/notifications')
    expect(shown.text()).not.toContain('Channels')
    expect(channels.listChannels).not.toHaveBeenCalled()
  })

  it('tell what they tell of, and send a test', async () => {
    vi.mocked(channels.listChannels).mockResolvedValue([ops])
    vi.mocked(channels.testChannel).mockResolvedValueOnce('the connection was refused')
    const { shown, press } = await show(NotificationsPage, '/settings/notifications', 'admin')
    const row = (name: string) => shown.findAll('tr').find((one) => one.text().startsWith(name))?.text()
    expect(row('Core lost')).toBe('Core lostTold')
    expect(row('Core back')).toContain('Not told')
    await press('Send a test by ops')
    expect(useNotices().shown.at(-1)?.text).toBe('ops did not take the test: the connection was refused.')
  })
})
