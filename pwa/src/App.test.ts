import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { createPinia, type Pinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import App from './App.vue'
import { makeRouter } from './router'
import { useAccount } from './stores/account'
import { useLive } from './stores/live'
import { sampleMe } from './testing/samples'

vi.mock('@/api/auth')
vi.mock('@/api/devices')
vi.mock('@/api/events', () => ({ listen: () => () => undefined }))
vi.mock('@/api/grants')
vi.mock('@/api/services')
vi.mock('@/api/sessions')
vi.mock('@/api/sites')
vi.mock('@/api/tokens')
vi.mock('@/api/whoami')

// happy-dom knows no popovers.
HTMLElement.prototype.hidePopover ??= () => {}

enableAutoUnmount(afterEach)
let pinia: Pinia
let account: ReturnType<typeof useAccount>
beforeEach(() => {
  pinia = createPinia()
  setActivePinia(pinia)
  account = useAccount()
  vi.mocked(auth.me).mockImplementation(async () => account.me ?? sampleMe())
  account.me = sampleMe()
  account.state = 'in'
})

afterEach(() => useLive(pinia).rest())

/** A page with a sheet that a route shows, a button, or a key. */
async function at(path: string, press?: string) {
  const router = makeRouter()
  await router.push(path)
  const app = mount(App, { attachTo: document.body, global: { plugins: [pinia, router] } })
  await flushPromises()
  if (press === '?') document.body.dispatchEvent(new KeyboardEvent('keydown', { key: press, bubbles: true }))
  else await app.findAll('button').find((one) => one.text() === press)?.trigger('click')
  await vi.waitFor(() => expect(app.find('dialog input').exists()).toBe(true), 2000)
  if (press !== '?') await app.get('dialog input').setValue('begun')
  return { app, router }
}

it.each([
  ['/devices/new', undefined, '/devices'],
  ['/settings/tokens', 'New token', '/settings/look'],
  ['/history', '?', '/history'],
])('closes what the person before had open at %s', async (path, press, page) => {
  const { app, router } = await at(path, press)
  account.me = sampleMe({ id: 'bob-id', name: 'bob' })
  await vi.waitFor(() => expect(router.currentRoute.value.path).toBe(page), 2000)
  await vi.waitFor(() => expect(app.find('dialog').exists()).toBe(false), 2000)
})

it.each([['/devices/new', undefined], ['/settings/tokens', 'New token']])('keeps it for who signs in again at %s', async (path, press) => {
  const { app, router } = await at(path, press)
  account.expire()
  account.me = sampleMe()
  account.state = 'in'
  await flushPromises()
  expect(router.currentRoute.value.path).toBe(path)
  expect(app.get<HTMLInputElement>('dialog input').element.value).toBe('begun')
})
