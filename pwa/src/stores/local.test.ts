import { afterEach, expect, it, vi } from 'vitest'
import { createPinia, setActivePinia } from 'pinia'
import { useLanguage } from '@/messages'
import { local } from './local'
import { useAlerts } from './alerts'
import { useShortcuts } from './shortcuts'
import { useStartPage } from './startPage'
import { useTheme } from './theme'

afterEach(() => vi.unstubAllGlobals())

it('keeps what it is given', () => {
  local.set('ownline.test', 'x')
  expect(local.get('ownline.test')).toBe('x')
  local.remove('ownline.test')
  expect(local.get('ownline.test')).toBeNull()
})

it('is no reason to fail where a browser keeps nothing', () => {
  const denied = () => {
    throw new DOMException('denied', 'SecurityError')
  }
  vi.stubGlobal('localStorage', { getItem: denied, setItem: denied, removeItem: denied })
  setActivePinia(createPinia())
  useTheme().choose('dark')
  expect(useTheme().name).toBe('dark')
  useStartPage().choose('/devices')
  useShortcuts().on = false
  expect(useAlerts().chosen).toEqual([])
  expect(useLanguage().name).toBe('en')
})
