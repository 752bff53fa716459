import { defineStore } from 'pinia'
import { ref, watch } from 'vue'

const storageKey = 'ownline.shortcuts'

/** Whether single keys do something: some people's keyboards press them by accident. */
export const useShortcuts = defineStore('shortcuts', () => {
  const on = ref(localStorage.getItem(storageKey) !== 'off')
  watch(on, (wanted) => {
    if (wanted) localStorage.removeItem(storageKey)
    else localStorage.setItem(storageKey, 'off')
  })
  return { on }
})
