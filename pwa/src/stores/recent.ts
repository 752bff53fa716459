import { defineStore } from 'pinia'
import { computed } from 'vue'
import { listEnded } from '@/api/sessions'
import { actsOf } from './acts'
import { collection } from './collection'

/** How many are shown. */
const some = 8

/** The sessions that ended last; each may be two. */
export const useRecent = defineStore('recent', () => {
  const list = collection(() => listEnded(2 * some))
  const last = computed(() =>
    actsOf(list.all.value)
      .toSorted((a, b) => Date.parse(b.ended ?? b.expires) - Date.parse(a.ended ?? a.expires))
      .slice(0, some),
  )
  return { ...list, last }
})
