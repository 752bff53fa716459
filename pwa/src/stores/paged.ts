import { computed, type ComputedRef, ref, type Ref, shallowRef, type ShallowRef } from 'vue'
import { asProblem, type Problem } from '@/api/problem'
import type { Load } from './collection'
import { whenLeft } from './forget'

const pageSize = 50
const exportPage = 200
/** What an export takes along at most: more than that is for the command line. */
const exportMost = 10_000

/** Some of a list, and where the next of it begins; undefined after the last. */
export interface Page<T> {
  items: T[]
  next: string | undefined
}
export type FetchPage<T, F> = (filter: F, limit: number, cursor?: string) => Promise<Page<T>>

export interface Paged<T, F> {
  items: ShallowRef<T[]>
  state: Ref<Load>
  problem: ShallowRef<Problem | undefined>
  fetching: Ref<boolean>
  hasMore: ComputedRef<boolean>
  /** Starts from the newest of those that the filter lets through. */
  load: (by: F) => Promise<void>
  more: () => Promise<void>
  clear: () => void
}

/**
 * A list of the server's, the newest first, fetched as far as somebody looks; nobody else finds it here later. What
 * failed later keeps what is there.
 */
export function paged<T extends { id: string }, F extends object>(fetchPage: FetchPage<T, F>): Paged<T, F> {
  const items = shallowRef<T[]>([])
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  const next = ref<string>()
  const fetching = ref(false)
  const hasMore = computed(() => next.value !== undefined)
  let filter: F | undefined
  let round = 0

  function empty(now: Load): void {
    round++
    items.value = []
    next.value = undefined
    state.value = now
  }

  async function load(by: F): Promise<void> {
    filter = by
    empty('loading')
    await fetchOne(by)
  }

  async function more(): Promise<void> {
    if (filter && !fetching.value && hasMore.value) await fetchOne(filter)
  }

  async function fetchOne(by: F): Promise<void> {
    const mine = round
    fetching.value = true
    try {
      const page = await fetchPage(by, pageSize, next.value)
      if (mine !== round) return
      // An event may have told of one before.
      const known = new Set(items.value.map(({ id }) => id))
      items.value = [...items.value, ...page.items.filter(({ id }) => !known.has(id))]
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

  const clear = () => empty('idle')
  whenLeft(clear)
  return { items, state, problem, fetching, hasMore, load, more, clear }
}

/** All that the filter lets through, for an export; throws a Problem. */
export async function exported<T, F>(fetchPage: FetchPage<T, F>, by: F): Promise<T[]> {
  const all: T[] = []
  let cursor: string | undefined
  do {
    const page = await fetchPage(by, exportPage, cursor)
    all.push(...page.items)
    cursor = page.next
  } while (cursor && all.length < exportMost)
  return all
}
