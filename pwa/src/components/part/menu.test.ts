import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import MenuButton from './MenuButton.vue'
import PopPanel from './PopPanel.vue'

const items = [
  { key: 'rename', label: 'Rename' },
  { key: 'rotate', label: 'Rotate key' },
  { key: 'revoke', label: 'Revoke', bad: true },
]
const hidden = vi.fn<() => void>()

// The DOM of the tests has no popovers.
beforeEach(() => {
  HTMLElement.prototype.hidePopover = hidden
})
afterEach(() => {
  document.body.innerHTML = ''
})

function opened(kind: 'open' | 'closed'): Event {
  return Object.assign(new Event('toggle'), { newState: kind })
}

describe('a menu', () => {
  async function menu() {
    const shown = mount(MenuButton, {
      attachTo: document.body,
      props: { label: 'More of Pixel', items },
    })
    shown.get('[role=menu]').element.dispatchEvent(opened('open'))
    await nextTick()
    async function key(name: string) {
      await shown.get('[role=menu]').trigger('keydown', { key: name })
      return document.activeElement?.textContent?.trim()
    }
    return { shown, key }
  }

  it('belongs to its button, which has a name', async () => {
    const { shown } = await menu()
    const button = shown.get('button')
    expect(button.attributes('aria-label')).toBe('More of Pixel')
    expect(button.attributes('popovertarget')).toBe(shown.get('[role=menu]').attributes('id'))
  })

  it('is walked through by keys', async () => {
    const { key } = await menu()
    expect(document.activeElement?.textContent?.trim()).toBe('Rename')
    expect(await key('ArrowDown')).toBe('Rotate key')
    expect(await key('End')).toBe('Revoke')
    expect(await key('ArrowDown')).toBe('Rename')
    expect(await key('ArrowUp')).toBe('Revoke')
    expect(await key('Home')).toBe('Rename')
  })

  it('is walked through by letters', async () => {
    const { key } = await menu()
    await key('r')
    await key('o')
    expect(document.activeElement?.textContent?.trim()).toBe('Rotate key')
  })

  it('tells what was picked, and closes', async () => {
    const { shown } = await menu()
    await shown.findAll('[role=menuitem]')[2]?.trigger('click')
    expect(shown.emitted('pick')).toEqual([['revoke']])
    expect(hidden).toHaveBeenCalledOnce()
  })
})

it('a panel tells when it opens and closes', () => {
  const shown = mount(PopPanel, {
    global: { plugins: [createPinia()] },
    props: { label: 'Account' },
    slots: { opener: 'Open', default: 'Inside' },
  })
  const panel = shown.get('section')
  expect(shown.get('button').attributes('popovertarget')).toBe(panel.attributes('id'))
  expect(panel.attributes('aria-label')).toBe('Account')
  panel.element.dispatchEvent(opened('open'))
  panel.element.dispatchEvent(opened('closed'))
  expect(shown.emitted()).toMatchObject({ open: [[]], close: [[]] })
})
