import { defineStore } from 'pinia'
import { computed } from 'vue'
import { listSites } from '@/api/sites'
import { collection } from './collection'

/** The sites of the services that the person signed in may use, and whether their cores answer. */
export const useSites = defineStore('sites', () => {
  const list = collection(listSites)
  const down = computed(() => list.all.value.filter((site) => !site.connected))

  return { ...list, down, isDown: (id: string) => list.get(id)?.connected === false }
})
