import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import type { Me } from '@/api/auth'
import type { Service } from '@/api/services'
import type { Session } from '@/api/sessions'
import type { Site } from '@/api/sites'
import { useLanguage } from '@/messages'
import { useAccount } from './account'
import { useAddress } from './address'
import { local } from './local'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

const storageKey = 'ownline.known'

/** What was last known; nothing of it is secret. */
interface Known {
  at: number
  me: Me
  services: Service[]
  sessions: Session[]
  sites: Site[]
  /** From where; missing where no source is. */
  source?: string
}

function read(): Known | undefined {
  try {
    return JSON.parse(local.get(storageKey) ?? '') as Known
  } catch {
    return undefined
  }
}

/** Who was signed in the last time. */
export function lastKnown(): Me | undefined {
  return read()?.me
}

/**
 * Keeps what was last known for the next visit, when it stands there at once, or all that can be
 * shown because the server can't be reached. Signing out wipes it.
 */
export const useKnown = defineStore('known', () => {
  const account = useAccount()
  const address = useAddress()
  const language = useLanguage()
  const services = useServices()
  const sessions = useSessions()
  const sites = useSites()
  /** When what is shown was known; undefined once the server has told it anew. */
  const asOf = ref<number>()
  /** The same, as people read it. */
  const since = computed(() => (asOf.value === undefined ? undefined : language.moment(new Date(asOf.value), new Date())))
  const fresh = computed(() => services.fresh && sessions.fresh && sites.fresh)

  /** Shows what was known of the person signed in. */
  function show(): void {
    const known = read()
    if (!known || known.me.id !== account.me?.id) return
    services.seed(known.services)
    sites.seed(known.sites)
    sessions.seed(known.sessions)
    address.last = known.source
    asOf.value = known.at
  }

  function keep(): void {
    if (!fresh.value || !account.me) return
    asOf.value = undefined
    const known: Known = {
      at: Date.now(),
      me: account.me,
      services: services.all,
      sessions: sessions.all.filter(sessions.isMine),
      sites: sites.all,
      ...(address.source && { source: address.source }),
    }
    local.set(storageKey, JSON.stringify(known))
  }

  function wipe(): void {
    asOf.value = undefined
    local.remove(storageKey)
  }

  watch(() => [fresh.value, services.all, sessions.all, sites.all, address.source], keep)

  return { asOf, since, show, wipe }
})
