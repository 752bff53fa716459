import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { asProblem, type Problem } from '@/api/problem'
import { listRefusals, type Refusal } from '@/api/refusals'
import type { Load } from './collection'
import { whenNoAdmin } from './forget'

/** The server tells no more lines than this. */
export const mostRefusals = 200

/** All that was refused for one reason, the latest line first. */
export interface Refused {
  reason: string
  number: number
  first: string
  latest: string
  lines: Refusal[]
}

/** Lines by their reasons, those of the latest first. */
export function byReason(refusals: Refusal[]): Refused[] {
  const all = new Map<string, Refused>()
  for (const line of refusals.toSorted((a, b) => Date.parse(b.latest) - Date.parse(a.latest))) {
    const { reason, number, first, latest } = line
    const one = all.get(reason) ?? { reason, number: 0, first, latest, lines: [] }
    one.number += number
    if (Date.parse(first) < Date.parse(one.first)) one.first = first
    one.lines.push(line)
    all.set(reason, one)
  }
  return [...all.values()]
}

/** How often knocks were refused. For admins; nothing tells of changes, so it is asked for anew. */
export const useRefusals = defineStore('refusals', () => {
  const all = shallowRef<Refusal[]>([])
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  let asked = ''
  let round = 0

  async function load(days: number, site: string): Promise<void> {
    const mine = ++round
    const what = `${days} ${site}`
    // What another question was answered says nothing here.
    if (what !== asked || state.value !== 'ready') state.value = 'loading'
    asked = what
    try {
      const told = await listRefusals(days, site)
      if (mine !== round) return
      all.value = told
      state.value = 'ready'
      problem.value = undefined
    } catch (error) {
      if (mine !== round) return
      problem.value = asProblem(error)
      if (state.value !== 'ready') state.value = 'failed'
    }
  }

  whenNoAdmin(() => {
    round++
    all.value = []
    state.value = 'idle'
    problem.value = undefined
  })

  return { all, state, problem, load }
})
