import { useRouter } from 'vue-router'
import type { Enrolled } from '@/api/devices'
import { BadProfile, OtherOwnline } from '@/device/profile'
import { useDevice } from '@/stores/device'

/** Returns what makes this browser a device and leads to where it is protected; false: it can't be. */
export function useThisBrowser(): (enrolled: Enrolled) => Promise<boolean> {
  const own = useDevice()
  const router = useRouter()
  return async (enrolled) => {
    try {
      if (await own.offer(enrolled.profile)) return false
    } catch (error) {
      if (error instanceof BadProfile || error instanceof OtherOwnline) return false
      throw error
    }
    await router.push('/client')
    return true
  }
}
