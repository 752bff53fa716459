import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { useOffline } from '@/stores/offline'
import { sampleService } from '@/testing/samples'
import ServiceTile from './ServiceTile.vue'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function tile(state: InstanceType<typeof ServiceTile>['$props']['state'], url?: string) {
  const service = sampleService(url ? { kind: 'proxy', url } : {})
  return mount(ServiceTile, {
    global: { plugins: [createPinia()] },
    props: { service, state, left: state === 'open' ? '19:59' : undefined },
  })
}

describe('a tile', () => {
  it.each([
    ['closed', 'Closed', 'open'],
    ['automatic', 'Automatic', 'open'],
    ['open', 'Open · 19:59', 'show'],
    ['failed', 'Failed · tap for why', 'more'],
    ['inside', 'Copy address', 'copy'],
  ] as const)('that is %s says “%s”, and a tap means: %s', async (state, words, meant) => {
    const shown = tile(state)
    expect(shown.get('.state').text()).toBe(words)
    await shown.get('.tile').trigger('click')
    expect(Object.keys(shown.emitted()).filter((name) => name !== 'click')).toEqual([meant])
  })

  it.each(['unreachable', 'unusable', 'opening'] as const)('that is %s does nothing', async (state) => {
    const shown = tile(state)
    expect(shown.get('.tile').attributes('aria-disabled')).toBe('true')
    await shown.get('.tile').trigger('click')
    expect(Object.keys(shown.emitted()).filter((name) => name !== 'click')).toEqual([])
  })

  it.each(['closed', 'automatic'] as const)('that is %s opens nothing offline, and says why', async (state) => {
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    const shown = tile(state)
    expect(shown.get('.hidden-text').text()).toBe('You are offline. This needs the server.')
    expect(shown.get('.tile').attributes('aria-disabled')).toBe('true')
    await shown.get('.tile').trigger('click')
    expect(shown.emitted('open')).toBeUndefined()
  })

  it('opens nothing while the server is away, and says why', async () => {
    const shown = tile('closed')
    useOffline().away = true
    await nextTick()
    expect(shown.get('.hidden-text').text()).toBe("Ownline can't be reached from here.")
    await shown.get('.tile').trigger('click')
    expect(shown.emitted('open')).toBeUndefined()
  })

  it('leads to the service itself where no session is needed', () => {
    const url = 'https://photos.home.example.org:9999/'
    expect(tile('inside', url).get('a').attributes()).toMatchObject({ href: url, rel: 'noopener' })
  })

  it('has a second button, beside the first, for more', async () => {
    const shown = tile('closed')
    const more = shown.get('[aria-label="More of photos"]')
    expect(shown.get('.tile').element.contains(more.element)).toBe(false)
    await more.trigger('click')
    expect(shown.emitted('more')).toHaveLength(1)
  })

  it('shows more by a long press, which does not open it as well', async () => {
    const shown = tile('closed')
    const button = shown.get('.tile')
    await button.trigger('pointerdown', { pointerType: 'touch' })
    vi.advanceTimersByTime(600)
    await button.trigger('pointerup')
    await button.trigger('click')
    expect(shown.emitted('more')).toHaveLength(1)
    expect(shown.emitted('open')).toBeUndefined()
    await button.trigger('pointerdown', { pointerType: 'touch' })
    await button.trigger('pointerup')
    await button.trigger('click')
    expect(shown.emitted('open')).toHaveLength(1)
  })

  it('shows more by its context menu', async () => {
    const shown = tile('closed')
    await shown.get('.tile').trigger('contextmenu')
    expect(shown.emitted('more')).toHaveLength(1)
  })
})
