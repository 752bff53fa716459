import { defineStore } from 'pinia'
import { computed, shallowRef, watch } from 'vue'
import type { Service } from '@/api/services'
import type { TileState } from '@/components/service/tile'
import { countdown } from '@/messages/format'
import { useAddress } from './address'
import { useChoices } from './choices'
import { useGrants } from './grants'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

/**
 * How each service stands for this address: open ones first, then those used most, then by name. Once
 * that is known, each keeps its place until the next visit: none moves from under a finger or the focus.
 */
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

  /** The place of each, by its id, while they are looked at. */
  const places = shallowRef<Map<string, number>>()
  const placeOf = ({ service }: { service: Service }) => places.value?.get(service.id) ?? Infinity

  const all = computed(() =>
    services.all
      .map((service) => {
        const session = sessions.forHere(service.id)
        const left = session && countdown(sessions.left(session))
        return { service, state: stateOf(service), left }
      })
      .toSorted(
        (a, b) =>
          // Of two without a place that is no number.
          placeOf(a) - placeOf(b) ||
          Number(first(b.service.id, b.state)) - Number(first(a.service.id, a.state)) ||
          choices.of(b.service.id).used - choices.of(a.service.id).used ||
          a.service.name.localeCompare(b.service.name),
      ),
  )

  const known = computed(() => services.fresh && sessions.fresh && address.here !== undefined)
  watch(
    () => known.value && !places.value,
    (wanted) => {
      if (wanted) places.value = new Map(all.value.map(({ service }, place) => [service.id, place]))
    },
    { flush: 'sync' },
  )

  /** A visit begins: all come to where they belong by now. */
  function arrange(): void {
    places.value = undefined
  }

  return { all, arrange }
})
