import { defineStore } from 'pinia'
import { computed, onMounted, onUnmounted, shallowRef } from 'vue'
import { type Brokers, brokers } from '@/api/broker'
import { useAccount } from './account'
import { whenNoAdmin } from './forget'

/** No event tells of brokers: they are asked for so often. */
const every = 30_000

/** How the MQTT brokers do; nothing is known where an admin is not signed in. */
export const useBroker = defineStore('broker', () => {
  const account = useAccount()
  const state = shallowRef<Brokers>()
  /** One of them does not do what it is there for. */
  const trouble = computed(() => {
    const { configured, connected, embedded } = state.value ?? {}
    return (configured && !connected) || embedded?.serving === false
  })

  /** Never fails: what can't be asked is not shown. */
  async function load(): Promise<void> {
    if (!account.isAdmin || document.hidden) return
    try {
      const told = await brokers()
      if (account.isAdmin) state.value = told
    } catch {
      state.value = undefined
    }
  }

  whenNoAdmin(() => (state.value = undefined))
  return { state, trouble, load }
})

/** Keeps the store fresh while the component is shown. */
export function useBrokerFresh(): void {
  const store = useBroker()
  let timer: ReturnType<typeof setInterval> | undefined
  onMounted(() => {
    void store.load()
    timer = setInterval(() => void store.load(), every)
  })
  onUnmounted(() => clearInterval(timer))
}
