import { readFileSync } from 'node:fs'
import { flushPromises, mount } from '@vue/test-utils'
import { expect, it } from 'vitest'
import { en } from '@/messages/en'
import { refusal, squareOf, wholeCrop } from './crop'
import { glyphs } from './glyphs'
import ServiceIcon from './ServiceIcon.vue'

it('draws every icon that the server has, and names it', () => {
  const go = readFileSync('../internal/web/icon/builtin.go', 'utf8')
  const names = [...go.matchAll(/"([a-z]+)"/g)].map(([, name]) => name ?? '').filter((name) => name !== 'slices')
  expect(names.length).toBeGreaterThan(50)
  expect(Object.keys(glyphs)).toEqual(names)
  expect(Object.keys(en.icon.names)).toEqual(names)
  for (const path of Object.values(glyphs)) expect(path).toMatch(/^M/)
})

it('is a glyph, a picture, or a letter', async () => {
  const glyph = mount(ServiceIcon, { props: { name: 'nas', icon: 'folder' } })
  await expect.poll(() => glyph.find('path').exists()).toBe(true)
  expect(glyph.get('path').attributes('d')).toBe(glyphs['folder'])
  const picture = mount(ServiceIcon, { props: { name: 'nas', id: 'nas-id', icon: 'uploaded:ab12' } })
  expect(picture.get('img').attributes('src')).toBe('/api/v1/services/nas-id/icon?v=ab12')
  await picture.get('img').trigger('error')
  expect(picture.text()).toBe('N')
  const old = mount(ServiceIcon, { props: { name: 'nas', icon: 'of-before' } })
  await flushPromises()
  expect(old.text()).toBe('N')
})

it('refuses files before it reads them', () => {
  expect(refusal({ size: 256 * 1024, type: 'image/svg+xml' })).toBeUndefined()
  expect(refusal({ size: 256 * 1024 + 1, type: 'image/png' })).toBe('tooLarge')
  expect(refusal({ size: 1, type: 'image/gif' })).toBe('wrongKind')
})

it('cuts a square', () => {
  expect(squareOf(400, 200, wholeCrop)).toEqual({ left: 100, top: 0, side: 200 })
  expect(squareOf(400, 200, { zoom: 2, x: 1, y: 0 })).toEqual({ left: 300, top: 0, side: 100 })
})
