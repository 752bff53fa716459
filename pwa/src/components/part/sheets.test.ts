import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { h, nextTick } from 'vue'
import { useLayers } from '@/stores/layers'
import { useNotices } from '@/stores/notices'
import ConfirmDialog from './ConfirmDialog.vue'
import SheetDialog from './SheetDialog.vue'
import ToastStack from './ToastStack.vue'

beforeEach(() => {
  document.body.innerHTML = ''
  setActivePinia(createPinia())
})

afterEach(() => void vi.useRealTimers())

describe('a sheet', () => {
  function sheet() {
    return mount(SheetDialog, {
      attachTo: document.body,
      props: { title: 'Photos' },
      slots: { default: 'What it says', actions: '<button id="go">Go</button>' },
    })
  }

  it('is modal while it is mounted, and named by its heading', () => {
    const shown = sheet()
    const dialog = shown.get('dialog')
    expect((dialog.element as HTMLDialogElement).open).toBe(true)
    const name = dialog.attributes('aria-labelledby')
    expect(shown.get(`[id="${name}"]`).text()).toBe('Photos')
    expect(useLayers().top).toBe(dialog.element)
    shown.unmount()
    expect((dialog.element as HTMLDialogElement).open).toBe(false)
    expect(useLayers().top).toBeUndefined()
  })

  it('is closed by its button, by Escape and by a tap beside it', async () => {
    const shown = sheet()
    await shown.get('[aria-label="Close this sheet"]').trigger('click')
    expect(shown.emitted('close')).toHaveLength(1)
    const cancel = new Event('cancel', { cancelable: true })
    shown.get('dialog').element.dispatchEvent(cancel)
    expect(cancel.defaultPrevented).toBe(true)
    expect(shown.emitted('close')).toHaveLength(2)
    await shown.get('dialog').trigger('pointerdown')
    await shown.get('dialog').trigger('click')
    expect(shown.emitted('close')).toHaveLength(3)
  })

  it('stays when a press that began inside ends outside', async () => {
    const shown = sheet()
    await shown.get('.body').trigger('pointerdown')
    await shown.get('dialog').trigger('click')
    expect(shown.emitted('close')).toBeUndefined()
  })

  it('is not closed by the second tap of a double tap on what made what it shows only now', async () => {
    vi.useFakeTimers()
    const done = vi.fn<() => void>()
    const shown = mount(SheetDialog, {
      attachTo: document.body,
      props: { title: 'Photos', once: false },
      slots: { default: () => h('button', { id: 'copy', onClick: done }), actions: () => h('button', { id: 'done', onClick: done }) },
    })
    const tapAll = async () => {
      for (const name of ['#done', '[aria-label="Close this sheet"]', 'dialog']) {
        await shown.get(name).trigger('pointerdown')
        await shown.get(name).trigger('click', { detail: 1 })
      }
    }
    await shown.setProps({ once: true })
    vi.advanceTimersByTime(350)
    await tapAll()
    expect(done).not.toHaveBeenCalled()
    expect(shown.emitted('close')).toBeUndefined()
    // What is inside, and keys, mean what is there now.
    await shown.get('#copy').trigger('click', { detail: 1 })
    expect(done).toHaveBeenCalledTimes(1)
    await shown.get('#done').trigger('click')
    expect(done).toHaveBeenCalledTimes(2)
    vi.advanceTimersByTime(650)
    await tapAll()
    expect(done).toHaveBeenCalledTimes(3)
    expect(shown.emitted('close')).toHaveLength(2)
  })

  it('holds the toasts, which nobody could reach outside', async () => {
    const toasts = mount(ToastStack, { attachTo: document.body })
    const shown = sheet()
    useNotices().show('Photos is closed')
    await nextTick()
    expect(shown.get('dialog').element.textContent).toContain('Photos is closed')
    shown.unmount()
    await nextTick()
    expect(document.body.textContent).toContain('Photos is closed')
    toasts.unmount()
  })
})

describe('a confirmation', () => {
  it('asks, and does it', async () => {
    const shown = mount(ConfirmDialog, { props: { title: 'Revoke it?', action: 'Revoke' } })
    const [, cancel, act] = shown.findAll('button')
    await cancel?.trigger('click')
    await act?.trigger('click')
    expect(shown.emitted()).toMatchObject({ close: [[]], confirm: [[]] })
  })

  it('may want the name written first', async () => {
    const props = { title: 'Delete ana?', action: 'Delete', typed: 'ana' }
    const shown = mount(ConfirmDialog, { props })
    const act = shown.findAll('button').at(-1)
    await act?.trigger('click')
    expect(shown.emitted('confirm')).toBeUndefined()
    await shown.get('input').setValue('ana')
    await act?.trigger('click')
    expect(shown.emitted('confirm')).toHaveLength(1)
  })

  it('says what failed', () => {
    const props = { title: 'Delete?', action: 'Delete', failure: 'It is in use.' }
    expect(mount(ConfirmDialog, { props }).get('[role=alert]').text()).toBe('It is in use.')
  })
})
