import { defineStore } from 'pinia'
import { computed } from 'vue'
import type { Service } from '@/api/services'
import type { TileState } from '@/components/service/tile'
import { countdown } from '@/messages/format'
import { useAddress } from './address'
import { useChoices } from './choices'
import { useGrants } from './grants'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

/** How each service stands for this address: open ones first, then those used most, then by name. */
export const useTiles = defineStore('tiles', () => {
  const address = useAddress()
  const choices = useChoices()
  const grants = useGrants()
  const services = useServices()
  const sessions = useSessions()
  const sites = useSites()

  function stateOf(service: Service): TileState {
    if (sessions.opening.has(service.id)) return 'opening'
    const session = sessions.forHere(service.id)
    if (session) return session.state === 'opening' ? 'opening' : 'open'
    if (sessions.failures.has(service.id)) return 'failed'
    if (address.inside) return 'inside'
    if (sites.isDown(service.site)) return 'unreachable'
    const closed = grants.of(service.id)?.automatic ? 'automatic' : 'closed'
    return address.here && !address.source ? 'unusable' : closed
  }

  /** Until it is known where this is, it is taken for where it was: tiles that change places are tapped by mistake. */
  const first = (id: string, state: TileState) =>
    state === 'open' || (!address.here && sessions.forHere(id, address.last) !== undefined)

  const all = computed(() =>
    services.all
      .map((service) => {
        const session = sessions.forHere(service.id)
        const left = session && countdown(sessions.left(session))
        return { service, state: stateOf(service), left }
      })
      .toSorted(
        (a, b) =>
          Number(first(b.service.id, b.state)) - Number(first(a.service.id, a.state)) ||
          choices.of(b.service.id).used - choices.of(a.service.id).used ||
          a.service.name.localeCompare(b.service.name),
      ),
  )

  return { all }
})
