import { defineStore } from 'pinia'
import { computed } from 'vue'
import * as api from '@/api/devices'
import { asProblem } from '@/api/problem'
import { collection } from './collection'
import { useNotices } from './notices'

/** After so many days without a knock a device is said to be quiet. */
const quietAfter = 30
const day = 86_400_000

export type Standing = 'revoked' | 'never' | 'quiet' | 'fine'

function quietDays(device: api.Device, now: number): number {
  return Math.floor((now - Date.parse(device.last_knock ?? device.created)) / day)
}

/** The device without its secrets. */
function kept(made: api.Enrolled): api.Device {
  const { profile: _, qr: __, fwknop_client: ___, ...device } = made
  return device
}

/** Devices: one's own, or everybody's for an admin. */
export const useDevices = defineStore('devices', () => {
  const notices = useNotices()
  const list = collection(api.listDevices)

  /** Those that knocked last first; those that can't any more at the end. */
  const sorted = computed(() =>
    list.all.value.toSorted(
      (a, b) =>
        Number(a.revoked) - Number(b.revoked) ||
        Date.parse(b.last_knock ?? b.created) - Date.parse(a.last_knock ?? a.created),
    ),
  )

  function standing(device: api.Device, now: number): Standing {
    if (device.revoked) return 'revoked'
    if (!device.last_knock) return 'never'
    return quietDays(device, now) >= quietAfter ? 'quiet' : 'fine'
  }

  /** Makes a device; throws a Problem. Its secret is not kept here. */
  async function add(wanted: api.NewDevice): Promise<api.Enrolled> {
    const made = await api.addDevice(wanted)
    list.put(kept(made))
    return made
  }

  /** Gives it a new secret; throws a Problem. */
  async function rotate(id: string): Promise<api.Enrolled> {
    const made = await api.rotateDevice(id)
    list.put(kept(made))
    return made
  }

  /** Ends its sessions, and lets its knocks count no more; throws a Problem. */
  async function revoke(id: string): Promise<void> {
    list.put(await api.revokeDevice(id))
  }

  /** Takes it off the list; throws a Problem. */
  async function forget(id: string): Promise<void> {
    await api.removeDevice(id)
    list.remove(id)
  }

  /** Changes a device at once; on refusal the old state returns, and a toast says why. */
  async function change(device: api.Device, what: api.DeviceChange): Promise<boolean> {
    const takeBack = list.guess({ ...device, ...what }, device.id)
    try {
      list.put(await api.changeDevice(device.id, what))
      return true
    } catch (error) {
      takeBack()
      notices.fail(asProblem(error))
      return false
    }
  }

  /** Has it open sessions only from there, or from anywhere; throws a Problem. */
  async function allowFrom(id: string, words: string[]): Promise<void> {
    list.put(await api.changeDevice(id, { allowed_from: words }))
  }

  /** Asks anew about one device; never fails. */
  async function refresh(id: string): Promise<void> {
    try {
      list.put(await api.showDevice(id))
    } catch {
      // It is asked again soon, or told by an event.
    }
  }

  return { ...list, sorted, standing, quietDays, add, rotate, revoke, forget, change, allowFrom, refresh }
})
