import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import * as passkeys from '@/api/passkeys'
import { Problem } from '@/api/problem'
import { makeRouter } from '@/router'
import { useAccount } from '@/stores/account'
import { sampleMe } from '@/testing/samples'
import LoginPage from './LoginPage.vue'

vi.mock('@/api/auth')
vi.mock('@/api/passkeys', async (actual) => ({
  ...(await actual<typeof passkeys>()),
  canAutofill: vi.fn<() => Promise<boolean>>(),
  canPasskey: vi.fn<() => boolean>(),
  passkeyLogin: vi.fn<() => Promise<auth.Me>>(),
}))

beforeEach(() => {
  vi.mocked(auth.methods).mockResolvedValue({ password: true, passkeys: true })
  vi.mocked(auth.providerAddress).mockImplementation((next) => `/start?return=${next}`)
  vi.mocked(auth.me).mockRejectedValue(new Problem(401))
  vi.mocked(auth.measure).mockResolvedValue(34)
  vi.mocked(passkeys.canAutofill).mockResolvedValue(false)
  vi.mocked(passkeys.canPasskey).mockReturnValue(false)
})

async function page(path: string) {
  const pinia = createPinia()
  const app = document.createElement('div')
  document.body.append(app)
  setActivePinia(pinia)
  const router = makeRouter()
  await router.push(path)
  const login = mount(LoginPage, { attachTo: app, global: { plugins: [pinia, router] } })
  const [name, password] = login.findAll('input')
  if (!name || !password) throw new Error('no fields')
  async function submit(who: string, word: string) {
    await name?.setValue(who)
    await password?.setValue(word)
    await login.get('form').trigger('submit')
    await flushPromises()
  }
  return { login, router, submit, name, password }
}

describe('the sign-in', () => {
  it('leads to the page that was asked for', async () => {
    vi.mocked(auth.login).mockResolvedValue(sampleMe())
    const { router, submit } = await page('/?a=1')
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/login?next=/?a=1'), 20_000)
    await submit('ana', 'a good long password')
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/?a=1'), 20_000)
  })

  it('does not move what stands below the form, but says soon where nobody answers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    vi.mocked(auth.methods).mockReturnValue(new Promise(() => {}))
    const { login } = await page('/login')
    await vi.advanceTimersByTimeAsync(999)
    expect(login.find('.below').exists()).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(login.find('.below').exists()).toBe(true)
    vi.useRealTimers()
  })

  it('never leads to another site', async () => {
    vi.mocked(auth.login).mockResolvedValue(sampleMe())
    const { router, submit } = await page('/login?next=//evil.example')
    await submit('ana', 'a good long password')
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/'), 20_000)
  })

  it('takes a name that nobody can have for a wrong one', async () => {
    vi.mocked(auth.login).mockRejectedValue(new Problem(422, '', [{ field: 'name', message: 'must have 64 characters at most' }]))
    const { login, submit } = await page('/login')
    await submit('a'.repeat(65), 'a good long password')
    expect(login.get('[role=alert]').text()).toBe('Name or password is not right.')
  })

  it('does not say which of the two was wrong', async () => {
    vi.mocked(auth.login).mockRejectedValue(new Problem(401))
    const { login, submit, password } = await page('/login')
    await submit('ana', 'wrong')
    expect(login.get('[role=alert]').text()).toBe('Name or password is not right.')
    expect(document.activeElement).toBe(password.element)
  })

  it('says why whoever was signed in is not any more', async () => {
    const { login } = await page('/login')
    expect(login.find('.banner').exists()).toBe(false)
    useAccount().shut('disabled')
    await flushPromises()
    expect(login.get('.banner').text()).toBe('Your account was disabled. Ask your admin.')
  })

  it('says how long to wait', async () => {
    vi.mocked(auth.login).mockRejectedValue(new Problem(429, '', [], 120))
    const { login, submit } = await page('/login')
    await submit('ana', 'wrong')
    expect(login.get('[role=alert]').text()).toBe('Too many tries. Wait 2 minutes.')
  })

  it('offers the identity provider, if there is one', async () => {
    const without = await page('/login')
    await flushPromises()
    expect(without.login.find('.provider').exists()).toBe(false)
    vi.mocked(auth.methods).mockResolvedValue({ password: true, passkeys: true, oidc: { name: 'Our login' } })
    const { login } = await page('/login?next=/sessions')
    await flushPromises()
    expect(login.get('.provider').text()).toBe('Sign in with Our login')
    expect(login.get('.provider').attributes('href')).toBe('/start?return=/sessions')
  })

  it('asks for what is missing, at the field', async () => {
    const { login, submit, name } = await page('/login')
    await submit('', '')
    expect(name.attributes('aria-invalid')).toBe('true')
    const described = name.attributes('aria-describedby') ?? ''
    expect(login.get(`[id="${described}"]`).text()).toBe('Enter your user name.')
    expect(document.activeElement).toBe(name.element)
    expect(auth.login).not.toHaveBeenCalled()
  })

  describe('with a second factor', () => {
    const wanted = (factors: string[]) =>
      new Problem(401, '', [], undefined, 'urn:ownline:problem:second-factor', 'a challenge', factors)

    it('sends the code as soon as it is whole', async () => {
      vi.mocked(auth.login).mockRejectedValue(wanted(['totp', 'recovery_code']))
      vi.mocked(auth.secondFactor).mockRejectedValueOnce(new Problem(401))
      vi.mocked(auth.secondFactor).mockResolvedValueOnce(sampleMe())
      const { login, router, submit } = await page('/login')
      await submit('ana', 'a good long password')
      async function give(code: string) {
        await login.get('input[autocomplete=one-time-code]').setValue(code)
        await flushPromises()
      }
      await give('00000')
      expect(auth.secondFactor).not.toHaveBeenCalled()
      await give('000000')
      expect(login.get('[role=alert]').text()).toBe('That code is not right, or too old.')
      await give('492 039')
      expect(auth.secondFactor).toHaveBeenLastCalledWith('a challenge', '492039')
      await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/'), 20_000)
    })

    it('takes a recovery code instead', async () => {
      vi.mocked(auth.login).mockRejectedValue(wanted(['totp', 'recovery_code']))
      vi.mocked(auth.secondFactor).mockResolvedValue(sampleMe())
      const { login, submit } = await page('/login')
      await submit('ana', 'a good long password')
      const link = login.findAll('button').find((one) => one.text() === 'Use a recovery code')
      await link?.trigger('click')
      expect(login.text()).toContain('Enter a recovery code')
      await login.get('input').setValue('abcd-efgh-ijkl')
      await login.get('form').trigger('submit')
      await flushPromises()
      expect(auth.secondFactor).toHaveBeenCalledWith('a challenge', 'abcd-efgh-ijkl')
    })

    it('asks for the password again when it took too long', async () => {
      vi.mocked(auth.login).mockRejectedValue(wanted(['totp']))
      vi.mocked(auth.secondFactor).mockRejectedValue(new Problem(403))
      const { login, submit } = await page('/login')
      await submit('ana', 'a good long password')
      await login.get('input[autocomplete=one-time-code]').setValue('492039')
      await flushPromises()
      expect(login.find('input[type=password]').exists()).toBe(true)
      expect(login.get('[role=alert]').text()).toContain('Enter your password again')
    })
  })

  describe('by a passkey', () => {
    beforeEach(() => void vi.mocked(passkeys.canPasskey).mockReturnValue(true))

    it('is asked for and offered only where the server can have them', async () => {
      vi.mocked(passkeys.canAutofill).mockResolvedValue(true)
      const offered = async () => {
        vi.mocked(passkeys.passkeyLogin).mockReset().mockRejectedValue(new passkeys.NotUsed())
        const { login } = await page('/login')
        await flushPromises()
        return [login.text().includes('Use a passkey'), vi.mocked(passkeys.passkeyLogin).mock.calls.length]
      }
      expect(await offered()).toEqual([true, 1])
      vi.mocked(auth.methods).mockResolvedValue({ password: true, passkeys: false })
      expect(await offered()).toEqual([false, 0])
    })

    it('enters where it is picked in the list of names', async () => {
      vi.mocked(passkeys.canAutofill).mockResolvedValue(true)
      vi.mocked(passkeys.passkeyLogin).mockResolvedValue(sampleMe())
      const { router } = await page('/login?next=/history')
      await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/history'), 20_000)
      expect(passkeys.passkeyLogin).toHaveBeenCalledWith(expect.objectContaining({ autofill: true }))
    })

    it('says what to do when it was not used', async () => {
      vi.mocked(passkeys.passkeyLogin).mockRejectedValue(new passkeys.NotUsed())
      const { login } = await page('/login')
      await flushPromises()
      const button = login.findAll('button').find((one) => one.text() === 'Use a passkey')
      await button?.trigger('click')
      await flushPromises()
      expect(login.get('[role=alert]').text()).toContain('The passkey was not used.')
    })
  })

  it('tells whether the server is reached', async () => {
    vi.mocked(auth.measure).mockResolvedValueOnce(34)
    const { login } = await page('/login')
    await flushPromises()
    expect(login.get('.reach').text()).toBe('Server reachable · 34 ms')
    vi.mocked(auth.measure).mockRejectedValueOnce(new Problem(0))
    await login.get('.reach').trigger('click')
    await flushPromises()
    expect(login.get('.reach').text()).toBe("The server can't be reached.")
  })

  it('has a password changed that an admin has set', async () => {
    vi.mocked(auth.login).mockResolvedValue({ ...sampleMe(), must_change_password: true })
    vi.mocked(auth.changePassword).mockResolvedValue()
    const { login, router, submit } = await page('/login')
    await submit('ana', 'set by the admin')
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/login'), 20_000)
    await vi.waitFor(() => expect(login.find('input[autocomplete=new-password]').exists()).toBe(true), 20_000)
    expect(useAccount().state).toBe('out')
    vi.mocked(auth.me).mockResolvedValue(sampleMe())
    await login.get('input[autocomplete=new-password]').setValue('chosen by ana')
    await login.get('form').trigger('submit')
    await flushPromises()
    expect(auth.changePassword).toHaveBeenCalledWith('set by the admin', 'chosen by ana')
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe('/'), 20_000)
  })
})
