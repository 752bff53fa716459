import { defineStore } from 'pinia'
import { onMounted, onUnmounted, ref } from 'vue'
import type { Timing } from '@/api/client'

/**
 * The server's time. The Date of an answer is cut to whole seconds, so each answer only bounds
 * the offset between its clock and ours; the bounds of many answers together are narrow. When
 * they contradict each other, one of the clocks was set: then the newest answer counts.
 */
export const useClock = defineStore('clock', () => {
  let lowest = -Infinity
  let highest = Infinity
  const offset = ref(0)
  /** The server's time in milliseconds, stepping once a second while somebody looks. */
  const now = ref(Date.now())

  function read(): number {
    return Date.now() + offset.value
  }

  function observe({ sent, received, date }: Timing): void {
    const low = date - received
    const high = date + 1000 - sent
    lowest = Math.max(lowest, low)
    highest = Math.min(highest, high)
    if (lowest > highest) {
      lowest = low
      highest = high
    }
    offset.value = (lowest + highest) / 2
  }

  function tick(): void {
    now.value = read()
  }

  let watchers = 0
  let timer: ReturnType<typeof setInterval> | undefined

  function follow(): void {
    clearInterval(timer)
    timer = undefined
    if (document.hidden || watchers === 0) return
    tick()
    timer = setInterval(tick, 1000)
  }

  /** Has the clock tick until the returned function is called; all that watch share one beat. */
  function watch(): () => void {
    if (watchers++ === 0) {
      document.addEventListener('visibilitychange', follow)
      follow()
    }
    return () => {
      if (--watchers > 0) return
      document.removeEventListener('visibilitychange', follow)
      follow()
    }
  }

  return { now, read, observe, tick, watch }
})

/** Keeps the clock ticking while the component is mounted and the page is visible. */
export function useTicking(): void {
  const clock = useClock()
  let stop: (() => void) | undefined
  onMounted(() => (stop = clock.watch()))
  onUnmounted(() => stop?.())
}
