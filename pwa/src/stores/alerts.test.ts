import { createPinia, setActivePinia } from 'pinia'
import { nextTick, watch } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { useAlerts } from './alerts'

const shown = vi.fn<(title: string, options: NotificationOptions) => void>()
const ask = vi.fn<() => Promise<NotificationPermission>>()

class FakeNotification extends EventTarget {
  static permission: NotificationPermission = 'default'
  static requestPermission = ask
  constructor(title: string, options: NotificationOptions) {
    super()
    shown(title, options)
  }
}

beforeEach(() => {
  localStorage.clear()
  FakeNotification.permission = 'default'
  vi.stubGlobal('Notification', FakeNotification)
  setActivePinia(createPinia())
})
afterEach(() => vi.unstubAllGlobals())

function hide(hidden: boolean): void {
  vi.spyOn(document, 'hidden', 'get').mockReturnValue(hidden)
}

describe('notifications of this browser', () => {
  it('are asked for when one is switched on, and not before', async () => {
    ask.mockResolvedValue('granted')
    const alerts = useAlerts()
    expect(ask).not.toHaveBeenCalled()
    await alerts.choose('opened', true)
    await alerts.choose('guest', true)
    expect(ask).toHaveBeenCalledOnce()
    expect(alerts.on).toEqual(['opened', 'guest'])
    expect(localStorage.getItem('ownline.alerts')).toBe('opened guest')
    await alerts.choose('opened', false)
    expect(alerts.on).toEqual(['guest'])
  })

  it('stay off where they are refused', async () => {
    ask.mockResolvedValue('denied')
    const alerts = useAlerts()
    const drawn: boolean[] = []
    watch(() => alerts.on.includes('opened'), (on) => drawn.push(on))
    await alerts.choose('opened', true)
    expect(alerts.on).toEqual([])
    expect(alerts.permission).toBe('denied')
    await alerts.choose('opened', true)
    await nextTick()
    expect(drawn).toEqual([true, false, true, false]) // else the browser would leave its switch on
    expect(localStorage.getItem('ownline.alerts')).toBeNull()
  })

  it('come when they are wanted and nobody looks', async () => {
    FakeNotification.permission = 'granted'
    localStorage.setItem('ownline.alerts', 'opened')
    const alerts = useAlerts()
    hide(false)
    await alerts.tell('opened', 'Photos was opened.', '/sessions/1')
    hide(true)
    await alerts.tell('guest', 'A guest has opened Photos.', '/sessions/1')
    expect(shown).not.toHaveBeenCalled()
    await alerts.tell('opened', 'Photos was opened.', '/sessions/1')
    expect(shown).toHaveBeenCalledOnce()
    expect(shown.mock.calls[0]?.[1].body).toBe('Photos was opened.')
  })
})
