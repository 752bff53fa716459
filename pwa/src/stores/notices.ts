import { defineStore } from 'pinia'
import { ref, shallowReactive } from 'vue'

export interface NoticeAction {
  label: string
  /** A link, which a tap opens; else run is called. */
  href?: string
  run?: () => void
}

export interface Notice {
  id: number
  text: string
  bad: boolean
  /** Until somebody dismisses it. */
  stays: boolean
  actions: NoticeAction[]
}

/** Toasts, and what is read out to those who do not see them. */
export const useNotices = defineStore('notices', () => {
  const shown = shallowReactive<Notice[]>([])
  const polite = ref('')
  const assertive = ref('')
  let last = 0

  function show(text: string, actions: NoticeAction[] = [], { bad = false, stays = false } = {}): number {
    const id = ++last
    // More than three would cover the page; the oldest that does not stay goes.
    if (shown.length === 3) shown.splice(Math.max(0, shown.findIndex((one) => !one.stays)), 1)
    shown.push({ id, text, bad, stays, actions })
    say(text, bad)
    return id
  }

  function fail(text: string): number {
    return show(text, [], { bad: true })
  }

  /** Reads text out without showing it. */
  function say(text: string, urgent = false): void {
    const region = urgent ? assertive : polite
    // The same words twice must be two changes, or the second is not read.
    region.value = region.value === text ? `${text}\u00A0` : text
  }

  function dismiss(id: number): void {
    const index = shown.findIndex((notice) => notice.id === id)
    if (index !== -1) shown.splice(index, 1)
  }

  return { shown, polite, assertive, show, fail, say, dismiss }
})
