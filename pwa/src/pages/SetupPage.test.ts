import { flushPromises, mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, describe, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import { Problem } from '@/api/problem'
import { makeRouter } from '@/router'
import { sampleMe } from '@/testing/samples'
import { isUserName, strengthOf } from './setup'
import SetupPage from './SetupPage.vue'

vi.mock('@/api/auth')

afterEach(() => {
  sessionStorage.clear()
  history.replaceState(null, '', '/')
})

async function page(fragment: string) {
  history.replaceState(null, '', `/setup${fragment}`)
  const setup = mount(SetupPage, { global: { plugins: [createPinia(), makeRouter()] } })
  async function submit(name: string, password: string) {
    const [nameInput, passwordInput] = setup.findAll('input')
    await nameInput?.setValue(name)
    await passwordInput?.setValue(password)
    await setup.get('form').trigger('submit')
    await flushPromises()
  }
  return { setup, submit }
}

describe('the setup', () => {
  it('takes the token out of the address bar and sends it', async () => {
    vi.mocked(auth.setup).mockResolvedValue(sampleMe({ role: 'admin' }))
    const { submit } = await page('#secret')
    expect(location.href).not.toContain('secret')
    await submit('ana', 'a good long password')
    expect(auth.setup).toHaveBeenCalledWith('secret', 'ana', 'a good long password')
    expect(sessionStorage).toHaveLength(0)
  })

  it('survives a reload', async () => {
    await page('#secret')
    const { setup } = await page('')
    expect(setup.find('form').exists()).toBe(true)
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
    expect((await page('')).setup.find('form').exists()).toBe(false)
  })

  it('shows what the server has against a field at that field', async () => {
    const fields = [{ field: 'password', message: 'is too common' }]
    vi.mocked(auth.setup).mockRejectedValue(new Problem(422, 'x', fields))
    const { setup, submit } = await page('#secret')
    await submit('ana', 'password password')
    expect(setup.text()).toContain('Password: is too common.')
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
