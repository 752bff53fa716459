import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import * as api from '@/api/sites'
import { useSites } from './sites'

/** What an admin does to sites. Throws the Problem; the list follows. */
export const useSiteAdmin = defineStore('siteAdmin', () => {
  const sites = useSites()
  /** Sites of which something is being asked, and what. */
  const busy = shallowReactive(new Map<string, 'check' | 'apply' | 'flush'>())

  async function during<T>(id: string, what: 'check' | 'apply' | 'flush', ask: () => Promise<T>): Promise<T> {
    busy.set(id, what)
    try {
      return await ask()
    } finally {
      busy.delete(id)
    }
  }

  async function add(code: string, name: string, host: string): Promise<api.Site> {
    const made = await api.addSite(code, name, host)
    sites.put(made)
    return made
  }

  async function pairAgain(id: string, code: string): Promise<void> {
    sites.put(await api.pairSite(id, code))
  }

  async function change(id: string, wanted: api.SiteChange): Promise<void> {
    sites.put(await api.changeSite(id, wanted))
  }

  async function remove(id: string): Promise<void> {
    await api.removeSite(id)
    sites.remove(id)
  }

  /** Has the core answer; returns after how many milliseconds it did. */
  function check(id: string): Promise<number> {
    return during(id, 'check', async () => {
      const took = await api.pingSite(id)
      sites.roundTrips.set(id, took)
      return took
    })
  }

  function apply(id: string): Promise<void> {
    return during(id, 'apply', async () => sites.put(await api.applySite(id)))
  }

  /** Ends everybody's sessions there; returns how many. */
  const flush = (id: string) => during(id, 'flush', () => api.flushSite(id))

  return { busy, add, pairAgain, change, remove, check, apply, flush, pending: api.sitePending }
})
