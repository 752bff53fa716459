import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { type HistoryFilter, historyPage } from '@/api/history'
import { asProblem, type Problem } from '@/api/problem'
import type { Session } from '@/api/sessions'
import type { Load } from './collection'

const pageSize = 50
const exportPage = 200
/** What an export takes along at most: more than that is for the command line. */
const exportMost = 10_000

/** Sessions that have ended, page by page. What was fetched is kept, so that Back finds the place. */
export const useHistory = defineStore('history', () => {
  const sessions = shallowRef<Session[]>([])
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  const next = ref<string>()
  const fetching = ref(false)
  const hasMore = computed(() => next.value !== undefined)
  /** How far the table was scrolled, in pixels. */
  const place = ref(0)
  let filter: HistoryFilter = {}
  let key: string | undefined
  let round = 0

  /** Starts from the newest; with back, what was fetched for the same filter is shown again. */
  async function show(by: HistoryFilter, back = false): Promise<void> {
    const wanted = JSON.stringify(by)
    if (back && wanted === key && state.value === 'ready') return
    filter = by
    key = wanted
    place.value = 0
    await reload()
  }

  /** Fetches the first page again. */
  async function reload(): Promise<void> {
    sessions.value = []
    next.value = undefined
    state.value = 'loading'
    await fetchPage(++round)
  }

  async function more(): Promise<void> {
    if (!fetching.value && hasMore.value) await fetchPage(round)
  }

  async function fetchPage(mine: number): Promise<void> {
    fetching.value = true
    try {
      const page = await historyPage(filter, pageSize, next.value)
      if (mine !== round) return
      const known = new Set(sessions.value.map(({ id }) => id))
      sessions.value = [...sessions.value, ...page.sessions.filter(({ id }) => !known.has(id))]
      next.value = page.next
      state.value = 'ready'
      problem.value = undefined
    } catch (error) {
      if (mine !== round) return
      problem.value = asProblem(error)
      if (state.value === 'loading') state.value = 'failed'
    } finally {
      if (mine === round) fetching.value = false
    }
  }

  /** Takes over a session that has just ended, when the filter lets it through. */
  function apply(session: Session): void {
    if (state.value !== 'ready' || session.state !== 'ended' || !matches(session, filter)) return
    const others = sessions.value.filter(({ id }) => id !== session.id)
    const at = others.findIndex(({ opened }) => opened < session.opened)
    // Below the last one it may stand behind others that are not fetched yet.
    if (at === -1 && hasMore.value) return
    sessions.value = others.toSpliced(at === -1 ? others.length : at, 0, session)
  }

  /** All that the filter lets through; throws a Problem. */
  async function everything(): Promise<Session[]> {
    const all: Session[] = []
    let cursor: string | undefined
    do {
      const page = await historyPage(filter, exportPage, cursor)
      all.push(...page.sessions)
      cursor = page.next
    } while (cursor && all.length < exportMost)
    return all
  }

  function clear(): void {
    round++
    sessions.value = []
    next.value = undefined
    state.value = 'idle'
    key = undefined
  }

  return { sessions, state, problem, fetching, hasMore, place, show, reload, more, apply, everything, clear }
})

function matches(session: Session, filter: HistoryFilter): boolean {
  const same = (['service', 'reason', 'device', 'site', 'user'] as const).every(
    (name) => filter[name] === undefined || session[name] === filter[name],
  )
  // Which networks hold an address the server knows.
  return (
    same &&
    filter.source === undefined &&
    (filter.from === undefined || Date.parse(session.opened) >= Date.parse(filter.from)) &&
    (filter.until === undefined || Date.parse(session.opened) < Date.parse(filter.until))
  )
}
