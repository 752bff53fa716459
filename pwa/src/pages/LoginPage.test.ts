import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import { Problem } from '@/api/problem'
import { makeRouter } from '@/router'
import { sampleMe } from '@/testing/samples'
import LoginPage from './LoginPage.vue'

vi.mock('@/api/auth')

beforeEach(() => {
  vi.mocked(auth.methods).mockResolvedValue({ password: true })
  vi.mocked(auth.providerAddress).mockImplementation((next) => `/start?return=${next}`)
  vi.mocked(auth.me).mockRejectedValue(new Problem(401))
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
    expect(router.currentRoute.value.fullPath).toBe('/login?next=/?a=1')
    await submit('ana', 'a good long password')
    expect(router.currentRoute.value.fullPath).toBe('/?a=1')
  })

  it('never leads to another site', async () => {
    vi.mocked(auth.login).mockResolvedValue(sampleMe())
    const { router, submit } = await page('/login?next=//evil.example')
    await submit('ana', 'a good long password')
    expect(router.currentRoute.value.fullPath).toBe('/')
  })

  it('does not say which of the two was wrong', async () => {
    vi.mocked(auth.login).mockRejectedValue(new Problem(401))
    const { login, submit, password } = await page('/login')
    await submit('ana', 'wrong')
    expect(login.get('[role=alert]').text()).toBe('Name or password is not right.')
    expect(document.activeElement).toBe(password.element)
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
    expect(without.login.find('a.provider').exists()).toBe(false)
    vi.mocked(auth.methods).mockResolvedValue({ password: true, oidc: { name: 'Our login' } })
    const { login } = await page('/login?next=/sessions')
    await flushPromises()
    expect(login.get('a').text()).toBe('Sign in with Our login')
    expect(login.get('a').attributes('href')).toBe('/start?return=/sessions')
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

  it('asks for the code when the server wants one', async () => {
    vi.mocked(auth.login).mockRejectedValue(
      new Problem(401, '', [], undefined, 'urn:ownline:problem:second-factor', 'a challenge'),
    )
    vi.mocked(auth.secondFactor).mockRejectedValueOnce(new Problem(401))
    vi.mocked(auth.secondFactor).mockResolvedValueOnce(sampleMe())
    const { login, router, submit } = await page('/login')
    await submit('ana', 'a good long password')
    async function give(code: string) {
      await login.get('input[autocomplete=one-time-code]').setValue(code)
      await login.get('form').trigger('submit')
      await flushPromises()
    }
    await give('000000')
    expect(login.get('[role=alert]').text()).toBe('The code is not right, or was used already.')
    await give('492039')
    expect(auth.secondFactor).toHaveBeenLastCalledWith('a challenge', '492039')
    expect(router.currentRoute.value.fullPath).toBe('/')
  })

  it('has a password changed that an admin has set', async () => {
    vi.mocked(auth.login).mockResolvedValue({ ...sampleMe(), must_change_password: true })
    vi.mocked(auth.changePassword).mockResolvedValue()
    const { login, router, submit } = await page('/login')
    await submit('ana', 'set by the admin')
    expect(router.currentRoute.value.fullPath).toBe('/login')
    vi.mocked(auth.me).mockResolvedValue(sampleMe())
    await login.get('input[autocomplete=new-password]').setValue('chosen by ana')
    await login.get('form').trigger('submit')
    await flushPromises()
    expect(auth.changePassword).toHaveBeenCalledWith('set by the admin', 'chosen by ana')
    expect(router.currentRoute.value.fullPath).toBe('/')
  })
})
