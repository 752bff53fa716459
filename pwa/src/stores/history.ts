import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { type HistoryFilter, historyPage } from '@/api/history'
import type { Session } from '@/api/sessions'
import { type Act, actsOf, partsOf } from './acts'
import { exported, paged } from './paged'

/** Sessions that have ended, page by page. What was fetched is kept, so that Back finds the place. */
export const useHistory = defineStore('history', () => {
  const { items: sessions, ...list } = paged(historyPage)
  /** As people see them, each where the first of its sessions stands. */
  const acts = computed(() => inOrder(sessions.value))
  /** How far the table was scrolled, in pixels. */
  const place = ref(0)
  let filter: HistoryFilter = {}
  let key: string | undefined

  /** Starts from the newest; with back, what was fetched for the same filter is shown again. */
  async function show(by: HistoryFilter, back = false): Promise<void> {
    const wanted = JSON.stringify(by)
    if (back && wanted === key && list.state.value === 'ready') return
    filter = by
    key = wanted
    place.value = 0
    await reload()
  }

  /** Fetches the first page again. */
  const reload = () => list.load(filter)

  /** Takes over a session that has just ended, when the filter lets it through. */
  function apply(session: Session): void {
    if (list.state.value !== 'ready' || session.state !== 'ended' || !matches(session, filter)) return
    const others = sessions.value.filter(({ id }) => id !== session.id)
    const at = others.findIndex(({ opened }) => opened < session.opened)
    // Below the last one it may stand behind others that are not fetched yet.
    if (at === -1 && list.hasMore.value) return
    sessions.value = others.toSpliced(at === -1 ? others.length : at, 0, session)
  }

  /** All that the filter lets through; throws a Problem. */
  const everything = () => exported(historyPage, filter)

  return { ...list, sessions, acts, place, show, reload, apply, everything }
})

function inOrder(sessions: Session[]): Act[] {
  const at = new Map(sessions.map(({ id }, index) => [id, index]))
  const place = (act: Act) => Math.min(...partsOf(act).map(({ id }) => at.get(id) ?? 0))
  return actsOf(sessions).toSorted((a, b) => place(a) - place(b))
}

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
