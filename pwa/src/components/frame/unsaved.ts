import { ref, watch } from 'vue'

/**
 * Closes a sheet where nothing typed in would be lost; else only the second time, as a key is soon pressed. unsaved
 * is what would be lost; asked says that the first time was, and ask brings the person there.
 */
export function useUnsaved(unsaved: () => string, ask: () => void, close: () => void) {
  const asked = ref(false)
  watch(unsaved, () => (asked.value = false))

  function leave(): void {
    if (!unsaved() || asked.value) return close()
    asked.value = true
    ask()
  }

  return { asked, leave }
}
