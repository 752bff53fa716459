import { computed, ref, shallowRef } from 'vue'
import type { ComputedRef, Ref, ShallowRef } from 'vue'
import type { Proof } from '@/api/factors'
import { asProblem, type Problem } from '@/api/problem'

/** What proves to the server that it is the user who asks, one of these. */
const ways = new Set(['password', 'otp', 'recovery_code'])

/** The person has left the question unanswered. */
export class NotProved extends Error {}

export interface ProofAsked {
  /** The person is being asked. */
  asking: ComputedRef<boolean>
  busy: Ref<boolean>
  /** Why the last answer did not do. */
  problem: ShallowRef<Problem | undefined>
  /**
   * Does what needs a proof: without one first, as the server asks nobody who signed in just now,
   * then with what the person gives. Rejects with NotProved, or the Problem of anything else.
   */
  run: <T>(call: (proof: Proof) => Promise<T>) => Promise<T>
  give: (proof: Proof) => Promise<void>
  cancel: () => void
}

function wantsProof(problem: Problem): boolean {
  return problem.status === 403 && problem.fields.some(({ field }) => ways.has(field))
}

interface Deferred<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: unknown) => void
}

/** A promise that somebody else settles. */
function deferred<T>(): Deferred<T> {
  const made: Partial<Deferred<T>> = {}
  made.promise = new Promise<T>((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made as Deferred<T>
}

/** The question who is there, before what changes how one signs in. */
export function useProof(): ProofAsked {
  const busy = ref(false)
  const problem = shallowRef<Problem>()
  const waiting = shallowRef<{
    attempt: (proof: Proof) => Promise<void>
    leave: () => void
  }>()

  async function run<T>(call: (proof: Proof) => Promise<T>): Promise<T> {
    try {
      return await call({})
    } catch (error) {
      if (!wantsProof(asProblem(error))) throw error
    }
    problem.value = undefined
    const { promise, resolve, reject } = deferred<T>()
    waiting.value = {
      leave: () => reject(new NotProved()),
      async attempt(proof) {
        try {
          resolve(await call(proof))
        } catch (error) {
          const why = asProblem(error)
          // What is not right can be given again; so can what came too often, later.
          if (wantsProof(why) || why.status === 429) problem.value = why
          else reject(error)
        }
      },
    }
    try {
      return await promise
    } finally {
      waiting.value = undefined
    }
  }

  async function give(proof: Proof): Promise<void> {
    if (busy.value) return
    busy.value = true
    await waiting.value?.attempt(proof)
    busy.value = false
  }

  return {
    asking: computed(() => waiting.value !== undefined),
    busy,
    problem,
    run,
    give,
    cancel: () => waiting.value?.leave(),
  }
}
