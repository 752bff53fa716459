import { useRouter } from 'vue-router'
import type { Service } from '@/api/services'
import { useCopy } from '@/stores/copy'
import { useSessions } from '@/stores/sessions'

/** What the taps on a tile do. */
export function useTaps() {
  const copy = useCopy()
  const router = useRouter()
  const sessions = useSessions()

  /** Shows the session by which the service is open. */
  function show(service: Service): void {
    const session = sessions.forHere(service.id)
    if (session) void router.push(`/sessions/${session.id}`)
  }

  return {
    open: (service: Service) => void sessions.open(service),
    show,
    more: (service: Service) => void router.push(`/services/${service.id}`),
    copy: (service: Service) => void copy(service.target ?? service.target6 ?? ''),
  }
}
