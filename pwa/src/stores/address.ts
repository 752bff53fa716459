import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { asProblem, type Problem } from '@/api/problem'
import { whoami, type Whoami } from '@/api/whoami'
import type { Load } from './collection'
import { whenLeft } from './forget'

/** The address that this browser has for the server. */
export const useAddress = defineStore('address', () => {
  const here = shallowRef<Whoami>()
  /** The source at the last visit, to go by until the server has told. */
  const last = ref<string>()
  /** The source before the last change, until the change is dealt with. */
  const before = ref<string>()
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  const source = computed(() => here.value?.source)
  /** In the LAN, where services answer without a session. */
  const inside = computed(() => here.value?.kind === 'private' && !here.value.source)

  async function load(): Promise<void> {
    if (state.value !== 'ready') state.value = 'loading'
    try {
      const found = await whoami()
      const old = here.value?.source
      if (old && old !== found.source) before.value = old
      if (before.value === found.source) before.value = undefined
      here.value = found
      state.value = 'ready'
      problem.value = undefined
    } catch (error) {
      problem.value = asProblem(error)
      if (state.value !== 'ready') state.value = 'failed'
    }
  }

  whenLeft(() => {
    here.value = undefined
    last.value = undefined
    before.value = undefined
    problem.value = undefined
    state.value = 'idle'
  })

  return { here, last, before, state, problem, source, inside, load }
})
