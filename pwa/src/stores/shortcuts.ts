import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { local } from './local'

const storageKey = 'ownline.shortcuts'

/** Whether single keys do something: some people's keyboards press them by accident. */
export const useShortcuts = defineStore('shortcuts', () => {
  const on = ref(local.get(storageKey) !== 'off')
  watch(on, (wanted) => {
    if (wanted) local.remove(storageKey)
    else local.set(storageKey, 'off')
  })
  return { on }
})
