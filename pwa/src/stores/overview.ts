import { defineStore } from 'pinia'
import { computed, onMounted, onUnmounted } from 'vue'
import { listLive, type Session } from '@/api/sessions'
import { everyDevice } from '@/api/users'
import { collection, together } from './collection'
import { useLive } from './live'

/** What everybody has: devices, and what is open. For the lists of admins. */
export const useOverview = defineStore('overview', () => {
  const devices = collection(everyDevice)
  const sessions = collection(() => listLive(true))
  const open = computed(() => sessions.all.value.filter((session) => session.state !== 'ended'))

  async function load(): Promise<void> {
    await Promise.all([devices.load(), sessions.load()])
  }

  const state = computed(() => together('ready', devices.state.value, sessions.state.value))
  const openWhere = (which: (session: Session) => boolean) => open.value.filter(which)
  const devicesOf = (user: string) => devices.all.value.filter((device) => device.user === user)

  return { state, load, openWhere, devicesOf, followDevice: devices.follow, followSession: sessions.follow }
})

/** Loads the overview and keeps it fresh while the component is shown. */
export function useOverviewFresh(): void {
  const live = useLive()
  const overview = useOverview()
  let stop: (() => void) | undefined
  onMounted(() => {
    void overview.load()
    stop = live.follow({
      device: overview.followDevice,
      session: overview.followSession,
      reset: () => void overview.load(),
    })
  })
  onUnmounted(() => stop?.())
}
