import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { useMessages } from '@/messages'

/** Whether the browser has no connection at all. */
export const useOffline = defineStore('offline', () => {
  const t = useMessages()
  const is = ref(!navigator.onLine)
  const look = (): void => void (is.value = !navigator.onLine)
  window.addEventListener('online', look)
  window.addEventListener('offline', look)

  /** Why what needs the server can't be done, while it can't. */
  const why = computed(() => (is.value ? t.value.app.offlineWhy : undefined))

  return { is, why }
})
