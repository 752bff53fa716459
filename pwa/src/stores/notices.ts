import { defineStore } from 'pinia'
import { ref, shallowReactive } from 'vue'
import type { Problem } from '@/api/problem'
import { useLanguage } from '@/messages'
import { detailsOf, sayFailure } from '@/messages/problem'
import { whenLeft } from './forget'

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
  /** The id of what it is about: the next about the same takes its place. */
  about: string | undefined
  actions: NoticeAction[]
}

/** Toasts, and what is read out to those who do not see them. */
export const useNotices = defineStore('notices', () => {
  const language = useLanguage()
  const shown = shallowReactive<Notice[]>([])
  const polite = ref('')
  const assertive = ref('')
  let last = 0

  function show(text: string, actions: NoticeAction[] = [], { bad = false, stays = false, about }: Partial<Pick<Notice, 'bad' | 'stays' | 'about'>> = {}): number {
    const id = ++last
    const before = about ? shown.findIndex((one) => one.about === about) : -1
    if (before !== -1) shown.splice(before, 1)
    // More than three would cover the page; the oldest that does not stay goes.
    if (shown.length === 3) shown.splice(Math.max(0, shown.findIndex((one) => !one.stays)), 1)
    shown.push({ id, text, bad, stays, about, actions })
    say(text, bad)
    return id
  }

  /** Says why something failed; where words say more than the problem does, those. That one is signed out the page says. */
  function fail(why: Problem | string, words?: string): void {
    if (typeof why !== 'string' && why.status === 401) return
    const { t } = language
    const details = detailsOf(t, why)
    const actions = details ? [{ label: t.problem.copyDetails, run: () => void copyDetails(details) }] : []
    show(words ?? sayFailure(t, why), actions, { bad: true })
  }

  /** Copies what helps whoever looks into a problem; where the browser refuses, it is shown. */
  async function copyDetails(details: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(details)
      show(language.t.part.copied)
    } catch {
      show(details)
    }
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

  // What stays is about the app; all else is about what somebody did, and its Undo would act as the next.
  whenLeft(() => {
    shown.splice(0, shown.length, ...shown.filter(({ stays }) => stays))
    polite.value = ''
    assertive.value = ''
  })

  return { shown, polite, assertive, show, fail, copyDetails, say, dismiss }
})
