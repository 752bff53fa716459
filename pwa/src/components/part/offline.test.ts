import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { useOffline } from '@/stores/offline'
import AppButton from './AppButton.vue'
import AppSwitch from './AppSwitch.vue'
import IconButton from './IconButton.vue'

const why = 'You are offline. This needs the server.'

beforeEach(() => void setActivePinia(createPinia()))

describe.each([
  ['a button', () => mount(AppButton, { props: { online: true } })],
  ['a button of an icon', () => mount(IconButton, { props: { path: '', label: 'Close', online: true } })],
])('%s that needs the server', (_, show) => {
  it('is disabled offline, with the reason', async () => {
    useOffline().is = true
    const button = show().get('button')
    expect(button.attributes()).toMatchObject({ 'aria-disabled': 'true', title: why })
  })

  it('does nothing offline, and does it online', async () => {
    const shown = show()
    useOffline().is = true
    await shown.get('button').trigger('click')
    expect(shown.emitted('press')).toBeUndefined()
    useOffline().is = false
    await shown.get('button').trigger('click')
    expect(shown.emitted('press')).toHaveLength(1)
    expect(shown.get('button').attributes('title')).toBeUndefined()
  })
})

it('a switch that needs the server is disabled offline, with the reason', () => {
  useOffline().is = true
  const input = mount(AppSwitch, { props: { label: 'Automatic', modelValue: false, online: true } }).get('input')
  expect(input.attributes()).toMatchObject({ disabled: '', title: why })
})

it('what works in the browser alone goes on offline', async () => {
  useOffline().is = true
  const shown = mount(AppButton)
  await shown.get('button').trigger('click')
  expect(shown.emitted('press')).toHaveLength(1)
})
