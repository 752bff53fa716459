import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { encode } from 'uqr'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { useNotices } from '@/stores/notices'
import { at, noon } from '@/testing/samples'
import CopyField from './CopyField.vue'
import CountdownText from './CountdownText.vue'
import DataTable from './DataTable.vue'
import EmptyNote from './EmptyNote.vue'
import QrCode from './QrCode.vue'

beforeEach(() => setActivePinia(createPinia()))
afterEach(() => void vi.useRealTimers())

describe('a text to copy', () => {
  const props = { label: 'Link', value: 'https://ownline.example.org/i#secret' }

  it('is copied whole, and says so', async () => {
    const write = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue()
    const shown = mount(CopyField, { props })
    await shown.get('button').trigger('click')
    await flushPromises()
    expect(write).toHaveBeenCalledWith(props.value)
    expect(shown.get('button').text()).toBe('Copied')
    expect(useNotices().polite).toBe('Copied')
  })

  it('says what to do where the browser refuses', async () => {
    vi.spyOn(navigator.clipboard, 'writeText').mockRejectedValue(new Error('no'))
    const shown = mount(CopyField, { props })
    await shown.get('button').trigger('click')
    await flushPromises()
    expect(shown.get('[role=alert]').text()).toContain('copy it by hand')
  })
})

it('draws every dark module of a QR code, and no other', async () => {
  const text = 'ownline://profile'
  const shown = mount(QrCode, { props: { text, label: 'Profile' } })
  await vi.waitFor(() => expect(shown.attributes('aria-busy')).toBeUndefined(), 20_000)
  const { data, size } = encode(text, { ecc: 'M', border: 4 })
  const drawn = new Set<string>()
  const path = shown.get('path').attributes('d') ?? ''
  for (const [, x, y, width] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    for (let i = 0; i < Number(width); i++) drawn.add(`${Number(x) + i} ${y}`)
  }
  const dark = data.flatMap((row, y) => row.flatMap((is, x) => (is ? [`${x} ${y}`] : [])))
  expect(dark.length).toBeGreaterThan(200)
  expect([...drawn].toSorted()).toEqual(dark.toSorted())
  expect(shown.attributes('viewBox')).toBe(`0 0 ${size} ${size}`)
  expect(shown.get('[role=img]').attributes('aria-label')).toBe('Profile')
})

it('counts down, and not below zero', async () => {
  vi.useFakeTimers({ now: noon })
  const shown = mount(CountdownText, { props: { until: at(61_000) } })
  expect(shown.text()).toBe('01:01')
  vi.advanceTimersByTime(2000)
  await nextTick()
  expect(shown.text()).toBe('00:59')
  vi.advanceTimersByTime(90_000)
  await nextTick()
  expect(shown.text()).toBe('00:00')
  shown.unmount()
  expect(vi.getTimerCount()).toBe(0)
})

it('draws a table with heads of columns and rows', () => {
  const shown = mount(DataTable, {
    props: {
      caption: 'Devices',
      columns: [{ key: 'name', label: 'Name' }, { key: 'knocks', label: 'Knocks', numeric: true }],
      rows: [{ id: '1', name: 'Pixel' }, { id: '2', name: 'Laptop' }],
      chosen: '2',
    },
    slots: { name: '{{ params.row.name }}', knocks: '7' },
  })
  expect(shown.get('caption').text()).toBe('Devices')
  expect(shown.findAll('thead th[scope=col]').map((head) => head.text())).toEqual(['Name', 'Knocks'])
  expect(shown.findAll('tbody th[scope=row]').map((head) => head.text())).toEqual(['Pixel', 'Laptop'])
  expect(shown.get('tr[data-chosen=true]').text()).toContain('Laptop')
})

it('says what is missing, and what to do', () => {
  const shown = mount(EmptyNote, { props: { text: 'Nothing yet.' }, slots: { default: '<a href="/">Add</a>' } })
  expect(shown.text()).toBe('Nothing yet.Add')
})
