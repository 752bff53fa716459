import { answer, client } from './client'
import type { components } from './schema'

export type Site = components['schemas']['Site']

/** Where the certificate is of the authority that a site's router has, if `proxy.root` says so. */
export function rootOf(site: Site): string {
  return `/api/v1/sites/${encodeURIComponent(site.id)}/root`
}

/** The sites of the services that the person signed in may use; all of them for an admin. */
export async function listSites(): Promise<Site[]> {
  const { items } = await answer(client.GET('/api/v1/sites'))
  return items ?? []
}

/** Asks a site's core how it is; returns how long the answer took in milliseconds. For admins. */
export async function pingSite(id: string): Promise<number> {
  const pong = await answer(client.POST('/api/v1/sites/{id}/ping', { params: { path: { id } } }))
  return pong.round_trip_ms
}
