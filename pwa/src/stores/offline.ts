import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { useMessages } from '@/messages'

/** Whether the browser has no connection at all, or none to the server. */
export const useOffline = defineStore('offline', () => {
  const t = useMessages()
  const is = ref(!navigator.onLine)
  /** The server has not answered for a while: stores/live.ts knows. */
  const away = ref(false)
  const look = (): void => void (is.value = !navigator.onLine)
  window.addEventListener('online', look)
  window.addEventListener('offline', look)

  /** Why what needs the server can't be done, while it can't. */
  const why = computed(() => {
    if (is.value) return t.value.app.offlineWhy
    return away.value ? t.value.app.unreachable : undefined
  })

  return { is, away, why }
})
