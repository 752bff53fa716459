import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import * as auth from '@/api/auth'
import { makeRouter } from '@/router'
import { useAccount } from '@/stores/account'
import { useLayers } from '@/stores/layers'
import { useShortcuts } from '@/stores/shortcuts'
import { sampleMe } from '@/testing/samples'
import AppFrame from './AppFrame.vue'
import { useSheet } from './sheet'

vi.mock('@/api/auth')

function wide(is: boolean): void {
  vi.spyOn(window, 'matchMedia').mockImplementation((query) => {
    const list = new EventTarget() as MediaQueryList
    return Object.assign(list, { matches: is && query.includes('60em'), media: query })
  })
}

beforeEach(() => {
  localStorage.clear()
  setActivePinia(createPinia())
  wide(false)
})
enableAutoUnmount(afterEach)
afterEach(() => {
  document.body.innerHTML = ''
})

/** What a key brings may have to be loaded first. */
async function drawn(): Promise<void> {
  await flushPromises()
  await import('./ShortcutSheet.vue')
  await flushPromises()
}

async function frame(path: string, role: 'admin' | 'user' = 'user') {
  vi.mocked(auth.me).mockResolvedValue(sampleMe({ role }))
  await useAccount().load()
  const router = makeRouter()
  await router.push(path)
  const shown = mount(AppFrame, {
    attachTo: document.body,
    global: { plugins: [router] },
    slots: {
      default: '<h1>Page</h1><input aria-keyshortcuts="/"><button aria-keyshortcuts="n">New</button>',
    },
  })
  async function key(name: string) {
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }))
    await drawn()
  }
  return { shown, router, key }
}

describe('the frame', () => {
  it('has five tabs on a phone, and marks the one that is shown', async () => {
    const { shown } = await frame('/history')
    const links = shown.findAll('nav a')
    expect(links.map((link) => link.text())).toEqual(['Home', 'Invite', 'Devices', 'History', 'Settings'])
    expect(shown.get('[aria-current=page]').text()).toBe('History')
  })

  it.each(['/admin/users', '/admin/audit/refusals'])('marks the settings, which lead there, at %s on a phone', async (path) => {
    const { shown } = await frame(path, 'admin')
    expect(shown.findAll('[aria-current=page]').map((tab) => tab.text())).toEqual(['Settings'])
    shown.unmount()
    wide(true)
    const beside = await frame(path, 'admin')
    expect(beside.shown.findAll('[aria-current=page]').map((place) => place.text())).not.toContain('Settings')
  })

  it('shows the administration beside the page, to admins', async () => {
    wide(true)
    const admin = await frame('/', 'admin')
    expect(admin.shown.findAll('nav')).toHaveLength(2)
    expect(admin.shown.text()).toContain('Audit log')
    admin.shown.unmount()
    const user = await frame('/')
    expect(user.shown.findAll('nav')).toHaveLength(1)
  })

  it('keeps others out of the administration', async () => {
    const { shown } = await frame('/admin/users')
    expect(shown.get('h1').text()).toBe('This is for admins.')
    vi.mocked(auth.me).mockResolvedValue(sampleMe({ role: 'admin' }))
    await useAccount().load()
    await flushPromises()
    expect(shown.get('h1').text()).toBe('Page')
    vi.mocked(auth.me).mockResolvedValue(sampleMe({ role: 'user' }))
    await useAccount().load()
    await flushPromises()
    expect(shown.get('h1').text()).toBe('This is for admins.')
    shown.unmount()
    const admin = await frame('/admin/users', 'admin')
    expect(admin.shown.get('h1').text()).toBe('Page')
  })
})

describe('single keys', () => {
  it('lead to the five places', async () => {
    const { router, key } = await frame('/')
    await key('g')
    await key('y')
    await vi.waitFor(() => expect(router.currentRoute.value.path).toBe('/history'))
  })

  it('find and make what the page offers', async () => {
    const { shown, key } = await frame('/')
    const made = vi.fn<() => void>()
    shown.get('button[aria-keyshortcuts=n]').element.addEventListener('click', made)
    await key('n')
    expect(made).toHaveBeenCalledOnce()
    await key('/')
    expect(document.activeElement).toBe(shown.get('[aria-keyshortcuts="/"]').element)
  })

  it('are listed, and do nothing meanwhile', async () => {
    const { shown, key } = await frame('/')
    await key('?')
    expect(shown.get('dialog').text()).toContain('Keyboard shortcuts')
    expect(useLayers().top).toBeDefined()
    await key('/')
    expect(document.activeElement).not.toBe(shown.get('[aria-keyshortcuts="/"]').element)
  })

  it('can be switched off', async () => {
    const { shown, key } = await frame('/')
    useShortcuts().on = false
    await key('?')
    expect(shown.find('dialog').exists()).toBe(false)
    expect(localStorage.getItem('ownline.shortcuts')).toBe('off')
  })

  it('are letters where somebody types', async () => {
    const { shown } = await frame('/')
    await shown.get('[aria-keyshortcuts="/"]').trigger('keydown', { key: '?' })
    await drawn()
    expect(shown.find('dialog').exists()).toBe(false)
  })
})

describe('a sheet with a route', () => {
  const blank = { template: '<i />' }

  function routed() {
    const router = createRouter({
      history: createMemoryHistory(),
      routes: [{ path: '/', component: blank }, { path: '/sessions/1', component: blank }],
    })
    let close = () => {}
    mount(
      defineComponent({
        setup() {
          close = useSheet('/')
          return () => h('i')
        },
      }),
      { global: { plugins: [router] } },
    )
    return { router, close: () => close() }
  }

  afterEach(() => history.replaceState(null, ''))

  it('goes back to where it was opened, once', () => {
    history.replaceState({ back: '/history' }, '')
    const { router, close } = routed()
    const back = vi.spyOn(router, 'back').mockReturnValue()
    close()
    close()
    expect(back).toHaveBeenCalledOnce()
  })

  it('shows the page below when its link was opened by itself', () => {
    const { router, close } = routed()
    const replace = vi.spyOn(router, 'replace')
    close()
    expect(replace).toHaveBeenCalledWith('/')
  })
})
