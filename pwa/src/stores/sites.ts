import { defineStore } from 'pinia'
import { computed, ref, shallowReactive } from 'vue'
import { listSites, pingSite } from '@/api/sites'
import { collection } from './collection'
import { whenLeft } from './forget'

/** The sites of the services that the person signed in may use, and whether their cores answer. */
export const useSites = defineStore('sites', () => {
  const list = collection(listSites)
  const down = computed(() => list.all.value.filter((site) => !site.connected))
  /** How long each core took to answer when it was last asked, in milliseconds. */
  const roundTrips = shallowReactive(new Map<string, number>())
  const checking = ref(false)

  /** Asks how every site is now; never fails. */
  async function check(): Promise<void> {
    if (checking.value) return
    checking.value = true
    try {
      await list.load()
      await Promise.all(list.all.value.map(({ id }) => ping(id)))
    } finally {
      checking.value = false
    }
  }

  async function ping(id: string): Promise<void> {
    try {
      roundTrips.set(id, await pingSite(id))
    } catch {
      // That it does not answer says the list.
      roundTrips.delete(id)
    }
  }

  whenLeft(() => roundTrips.clear())

  return {
    ...list, down, roundTrips, checking, check,
    isDown: (id: string) => list.get(id)?.connected === false,
  }
})
