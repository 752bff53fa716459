import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import * as passkeys from '@/api/passkeys'
import { Problem } from '@/api/problem'
import { listSites } from '@/api/sites'
import { makeRouter } from '@/router'
import { sampleMe, sampleSite } from '@/testing/samples'
import { isUserName, strengthOf } from './setup'
import SetupPage from './SetupPage.vue'

vi.mock('@/api/auth')
vi.mock('@/api/passkeys', async (actual) => ({
  ...(await actual<typeof passkeys>()),
  addPasskey: vi.fn<() => Promise<passkeys.Passkey>>(),
  canPasskey: vi.fn<() => boolean>(),
}))
vi.mock('@/api/sites')

beforeEach(() => {
  vi.mocked(listSites).mockResolvedValue([])
  vi.mocked(auth.methods).mockResolvedValue({ password: true, passkeys: true })
})

let leave = (): void => {}
afterEach(() => {
  leave()
  sessionStorage.clear()
  history.replaceState(null, '', '/')
})

async function page(fragment: string) {
  leave()
  setActivePinia(createPinia())
  const router = makeRouter()
  await router.replace(`/setup${fragment}`)
  const setup = mount(SetupPage, { global: { plugins: [router] } })
  leave = () => setup.unmount()
  async function submit(name: string, password: string) {
    const [nameInput, passwordInput] = setup.findAll('input')
    await nameInput?.setValue(name)
    await passwordInput?.setValue(password)
    await setup.get('form').trigger('submit')
    await flushPromises()
  }
  await flushPromises()
  async function press(text: string) {
    await setup.findAll('button').find((one) => one.text() === text)?.trigger('click')
    await flushPromises()
  }
  return { setup, submit, press }
}

describe('the setup', () => {
  it('takes the token out of the address bar and sends it', async () => {
    vi.mocked(auth.setup).mockResolvedValue(sampleMe({ role: 'admin' }))
    const { submit } = await page('#secret')
    expect(location.href).not.toContain('secret')
    expect(JSON.stringify(history.state)).not.toContain('secret')
    await submit(' ana ', 'a good long password')
    expect(auth.setup).toHaveBeenCalledWith('secret', 'ana', 'a good long password')
    expect(JSON.stringify({ ...sessionStorage })).not.toContain('secret')
  })

  it('takes the link that is put into the address bar of the page', async () => {
    vi.mocked(auth.setup).mockResolvedValue(sampleMe({ role: 'admin' }))
    const { setup, submit } = await page('')
    expect(setup.text()).not.toContain('1 of 4')
    history.replaceState(history.state, '', '/setup#another-secret')
    window.dispatchEvent(new Event('hashchange'))
    await flushPromises()
    expect(setup.text()).toContain('1 of 4')
    expect(location.href + JSON.stringify(history.state)).not.toContain('secret')
    await submit('ana', 'a good long password')
    expect(auth.setup).toHaveBeenCalledWith('another-secret', 'ana', 'a good long password')
    leave()
    leave = () => {}
    location.hash = 'left'
    window.dispatchEvent(new Event('hashchange'))
    expect(location.hash).toBe('#left')
  })

  it('survives a reload', async () => {
    await page('#secret')
    const { setup } = await page('')
    expect(setup.find('form').exists()).toBe(true)
  })

  it('goes through four steps, and on after a reload', async () => {
    vi.mocked(auth.setup).mockResolvedValue(sampleMe({ role: 'admin' }))
    vi.mocked(auth.me).mockResolvedValue(sampleMe({ role: 'admin' }))
    vi.mocked(passkeys.canPasskey).mockReturnValue(true)
    vi.mocked(passkeys.addPasskey).mockRejectedValueOnce(new passkeys.NotUsed())
    const first = await page('#secret')
    expect(first.setup.text()).toContain('1 of 4')
    await first.submit('ana', 'a good long password')
    expect(first.setup.get('h1').text()).toBe('Add a passkey')
    await first.press('Add a passkey')
    expect(first.setup.text()).toContain('No passkey was made.')
    vi.mocked(passkeys.addPasskey).mockResolvedValueOnce({} as passkeys.Passkey)
    await first.press('Add a passkey')
    expect(first.setup.text()).toContain('3 of 4')
    vi.mocked(listSites).mockResolvedValue([sampleSite()])
    const second = await page('')
    expect(second.setup.text()).toContain('Home is paired already.')
    await second.press('Next')
    expect(second.setup.get('h1').text()).toBe('Ownline is ready')
    await second.press('To Home')
    expect((await page('')).setup.text()).toContain('Setup link')
  })

  it('goes on where the server can have no passkeys, also after a reload', async () => {
    vi.mocked(auth.setup).mockResolvedValue(sampleMe({ role: 'admin' }))
    vi.mocked(auth.me).mockResolvedValue(sampleMe({ role: 'admin' }))
    vi.mocked(auth.methods).mockResolvedValue({ password: true, passkeys: false })
    vi.mocked(passkeys.canPasskey).mockReturnValue(true)
    const first = await page('#secret')
    await first.submit('ana', 'a good long password')
    for (const { setup } of [first, await page('')]) {
      expect(setup.text()).toContain('Passkeys need the public address of Ownline')
      expect(setup.findAll('button').map((one) => one.text())).toEqual(['Next'])
    }
    const { setup, press } = await page('')
    await press('Next')
    expect(setup.text()).toContain('3 of 4')
  })

  it('goes on for nobody who is not signed in', async () => {
    sessionStorage.setItem('ownline.setup.step', 'core')
    vi.mocked(auth.me).mockRejectedValue(new Problem(401))
    expect((await page('')).setup.text()).toContain('Setup link')
  })

  it('refuses a short password and an impossible name by itself', async () => {
    const { setup, submit } = await page('#secret')
    await submit('Ana Maria', 'short')
    expect(auth.setup).not.toHaveBeenCalled()
    expect(setup.findAll('[aria-invalid]')).toHaveLength(2)
  })

  it('says that a link is not valid', async () => {
    vi.mocked(auth.setup).mockRejectedValue(new Problem(403))
    const { setup, submit } = await page('#old')
    await submit('ana', 'a good long password')
    expect(setup.text()).toContain('This setup link is not valid.')
    expect((await page('')).setup.text()).toContain('Setup link')
  })

  it('says that the setup is finished, and asks for no other link', async () => {
    const fields = [{ field: 'token', message: 'the setup is finished: sign in instead', code: 'setup_finished' as const }]
    vi.mocked(auth.setup).mockRejectedValue(new Problem(403, '', fields))
    const { setup, submit } = await page('#used')
    await submit('ana', 'a good long password')
    expect(setup.text()).toContain('Setup is finished. Sign in instead.')
    expect(setup.text()).not.toContain('not valid')
    expect(setup.find('input').exists()).toBe(false)
    expect(setup.get('a').attributes('href')).toBe('/login')
  })

  it('takes a link that is pasted, and never the address bar', async () => {
    vi.mocked(auth.setup).mockResolvedValue(sampleMe({ role: 'admin' }))
    const { setup, submit } = await page('')
    expect(setup.text()).not.toContain('not valid')
    const paste = async (text: string) => {
      await setup.get('input').setValue(text)
      await setup.get('form').trigger('submit')
    }
    for (const wrong of ['', 'https://own.example.org/setup', 'https://own.example.org/setup#short']) {
      await paste(wrong)
      expect(setup.text()).toContain('This is no setup link.')
    }
    await paste(' https://own.example.org/setup#pasted-secret_2345 ')
    expect(setup.text()).toContain('1 of 4')
    expect(location.href).not.toContain('pasted')
    await submit('ana', 'a good long password')
    expect(auth.setup).toHaveBeenCalledWith('pasted-secret_2345', 'ana', 'a good long password')
  })

  it('shows what the server has against a field at that field', async () => {
    const fields = [{ field: 'password', message: 'is too common' }]
    vi.mocked(auth.setup).mockRejectedValue(new Problem(422, 'x', fields))
    const { setup, submit } = await page('#secret')
    await submit('ana', 'password password')
    expect(setup.text()).toContain('Password is too common.')
  })
})

it.each([
  ['short', 'weak'],
  ['aaaaaaaaaaaaaaaaaaaaaaaa', 'weak'],
  ['twelve chars!', 'fair'],
  ['a long and varied sentence', 'strong'],
])('calls the password %s %s', (password, word) => {
  expect(strengthOf(password)).toBe(word)
})

it('knows user names', () => {
  expect(['ana', 'a.b-c_9'].every(isUserName)).toBe(true)
  expect(['', 'Ana', 'a b', 'ñ', 'x'.repeat(65)].some(isUserName)).toBe(false)
})
