import { defineStore } from 'pinia'
import { computed, shallowReactive } from 'vue'

/** The modal sheets that are open, the topmost last: all outside of it can't be reached. */
export const useLayers = defineStore('layers', () => {
  const open = shallowReactive<HTMLElement[]>([])
  const top = computed(() => open.at(-1))

  /** Puts a sheet on top; the returned function takes it away. */
  function enter(element: HTMLElement): () => void {
    open.push(element)
    return () => {
      const index = open.indexOf(element)
      if (index !== -1) open.splice(index, 1)
    }
  }

  return { top, enter }
})
