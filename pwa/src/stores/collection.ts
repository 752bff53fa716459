import { computed, type ComputedRef, ref, type Ref, shallowReactive, shallowRef, type ShallowRef } from 'vue'
import type { Change } from '@/api/events'
import { asProblem, type Problem } from '@/api/problem'
import { whenLeft } from './forget'

/** Where a list stands. Once ready it stays so: a later failure keeps what is known. */
export type Load = 'idle' | 'loading' | 'ready' | 'failed'

/** Where a list stands that tells of others, too: ready when they are, or can't be had. */
export function together(main: Load, ...others: Load[]): Load {
  const waits = others.some((one) => one === 'idle' || one === 'loading')
  return main === 'ready' && waits ? 'loading' : main
}

export interface Collection<T> {
  all: ComputedRef<T[]>
  state: Ref<Load>
  problem: ShallowRef<Problem | undefined>
  /** The server has told the list since it was begun. */
  fresh: Ref<boolean>
  get: (id: string) => T | undefined
  put: (item: T) => void
  remove: (id: string) => void
  /** Takes over a change that the server told. */
  follow: (change: Change<T>) => void
  /** Changes an item at once; the returned function takes that back unless it changed since. */
  guess: (item: T | undefined, id: string) => () => void
  load: () => Promise<void>
  /** Shows what is known from before, until the server tells more. */
  seed: (items: T[]) => void
  clear: () => void
}

/** A list of the server's, kept by id, that events may change while it is being fetched; nobody else finds it here later. */
export function collection<T extends { id: string }>(fetchAll: () => Promise<T[]>): Collection<T> {
  const byId = shallowReactive(new Map<string, T>())
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  const fresh = ref(false)
  const touched = new Set<string>()
  let round = 0

  function put(item: T): void {
    touched.add(item.id)
    byId.set(item.id, item)
  }

  function remove(id: string): void {
    touched.add(id)
    byId.delete(id)
  }

  function follow(change: Change<T>): void {
    if (change.removed) remove(change.id)
    else put(change)
  }

  function guess(item: T | undefined, id: string): () => void {
    const before = byId.get(id)
    if (item) put(item)
    else remove(id)
    return () => {
      if (byId.get(id) !== item) return
      if (before) put(before)
      else remove(id)
    }
  }

  async function load(): Promise<void> {
    const mine = ++round
    touched.clear()
    if (state.value !== 'ready') state.value = 'loading'
    try {
      const items = await fetchAll()
      if (mine !== round) return
      const kept = new Set(items.map((item) => item.id))
      // What an event or a person changed meanwhile is newer than this answer.
      for (const id of byId.keys()) if (!kept.has(id) && !touched.has(id)) byId.delete(id)
      for (const item of items) if (!touched.has(item.id)) byId.set(item.id, item)
      state.value = 'ready'
      fresh.value = true
      problem.value = undefined
    } catch (error) {
      if (mine !== round) return
      problem.value = asProblem(error)
      if (state.value !== 'ready') state.value = 'failed'
    }
  }

  function seed(items: T[]): void {
    if (fresh.value) return
    for (const item of items) byId.set(item.id, item)
    state.value = 'ready'
  }

  function clear(): void {
    round++
    byId.clear()
    fresh.value = false
    state.value = 'idle'
    problem.value = undefined
  }

  whenLeft(clear)
  return {
    all: computed(() => [...byId.values()]),
    state,
    problem,
    fresh,
    get: (id) => byId.get(id),
    put,
    remove,
    follow,
    guess,
    load,
    seed,
    clear,
  }
}
