import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent } from 'vue'
import { noon } from '@/testing/samples'
import { useClock, useTicking } from './clock'

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
})
afterEach(() => vi.useRealTimers())

/** An answer as a server whose clock is ahead by so much would date it: in whole seconds. */
function answerAhead(ahead: number, sent: number, took: number) {
  const moment = sent + took / 2 + ahead
  return { sent, received: sent + took, date: Math.floor(moment / 1000) * 1000 }
}

describe('the clock of the server', () => {
  it.each([-240_000, -1500, 0, 700, 86_400_000])('is found when it is %i ms ahead', (ahead) => {
    const clock = useClock()
    for (let i = 0; i < 12; i++) {
      clock.observe(answerAhead(ahead, noon + i * 1270, 40))
    }
    expect(Math.abs(clock.read() - (noon + ahead))).toBeLessThan(120)
  })

  it('is within half a second and the delay after one answer', () => {
    const clock = useClock()
    clock.observe(answerAhead(90_000, noon, 200))
    expect(Math.abs(clock.read() - (noon + 90_000))).toBeLessThanOrEqual(600)
  })

  it('is found anew after somebody set it', () => {
    const clock = useClock()
    for (let i = 0; i < 5; i++) clock.observe(answerAhead(0, noon + i * 1270, 40))
    clock.observe(answerAhead(3_600_000, noon, 40))
    expect(Math.abs(clock.read() - (noon + 3_600_000))).toBeLessThan(600)
  })

  it('ticks once a second, and not on a hidden page', () => {
    const clock = useClock()
    const page = mount(
      defineComponent({
        setup: useTicking,
        render: () => null,
      }),
    )
    vi.advanceTimersByTime(2000)
    expect(clock.now).toBe(noon + 2000)
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true)
    document.dispatchEvent(new Event('visibilitychange'))
    vi.advanceTimersByTime(5000)
    expect(clock.now).toBe(noon + 2000)
    hidden.mockReturnValue(false)
    document.dispatchEvent(new Event('visibilitychange'))
    expect(clock.now).toBe(noon + 7000)
    page.unmount()
    expect(vi.getTimerCount()).toBe(0)
  })
})
