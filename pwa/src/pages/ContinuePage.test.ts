import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as auth from '@/api/auth'
import * as passes from '@/api/passes'
import { Problem } from '@/api/problem'
import { makeRouter } from '@/router'
import { sampleMe } from '@/testing/samples'
import ContinuePage from './ContinuePage.vue'
import * as leave from './leave'

vi.mock('@/api/auth')
vi.mock('@/api/passes')
vi.mock('./leave')

const path = '/continue?service=s&state=x&to=/page?a%3D1%26b'

beforeEach(() => {
  vi.clearAllMocks()
  vi.mocked(auth.me).mockResolvedValue(sampleMe())
})

async function page() {
  const pinia = createPinia()
  setActivePinia(pinia)
  const router = makeRouter()
  await router.push(path)
  const shown = mount(ContinuePage, { global: { plugins: [pinia, router] } })
  await flushPromises()
  return { shown, router }
}

describe('the way on to a service', () => {
  it('is taken at once', async () => {
    vi.mocked(passes.addPass).mockResolvedValue('https://wiki.example/.ownline/login?code=c')
    await page()
    expect(passes.addPass).toHaveBeenCalledWith('s', 'x', '/page?a=1&b')
    expect(leave.leaveFor).toHaveBeenCalledWith('https://wiki.example/.ownline/login?code=c')
  })

  it('leads through the sign-in, and then back here', async () => {
    vi.mocked(auth.me).mockRejectedValue(new Problem(401))
    setActivePinia(createPinia())
    const router = makeRouter()
    await router.push(path)
    expect(router.currentRoute.value.path).toBe('/login')
    expect(router.currentRoute.value.query['next']).toBe(router.resolve(path).fullPath)
  })

  it('says so when this person may not use the service', async () => {
    vi.mocked(passes.addPass).mockRejectedValue(new Problem(403))
    const { shown } = await page()
    expect(shown.get('h1').text()).toBe('You may not use this service')
    expect(shown.get('[role=alert]').text()).toContain(sampleMe().name)
    expect(leave.leaveFor).not.toHaveBeenCalled()
  })

  it('can be tried again', async () => {
    vi.mocked(passes.addPass).mockRejectedValueOnce(new Problem(0))
    vi.mocked(passes.addPass).mockResolvedValueOnce('https://wiki.example/')
    const { shown } = await page()
    expect(shown.find('[role=alert]').exists()).toBe(true)
    await shown.get('button').trigger('click')
    await flushPromises()
    expect(leave.leaveFor).toHaveBeenCalledWith('https://wiki.example/')
  })
})
