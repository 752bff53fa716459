import { answer, client } from './client'
import type { components } from './schema'

export type Site = components['schemas']['Site']
export type SiteChange = components['schemas']['SiteChange']
export type Pending = components['schemas']['Pending']
export type Reached = components['schemas']['Reached']

/** Where the certificate is of the authority that a site's router has, if `proxy.root` says so. */
export function rootOf(site: Site): string {
  return `/api/v1/sites/${encodeURIComponent(site.id)}/root`
}

/** The sites of the services that the person signed in may use; all of them for an admin. */
export async function listSites(): Promise<Site[]> {
  const { items } = await answer(client.GET('/api/v1/sites'))
  return items ?? []
}

/** Has a site's core answer; returns how long that took in milliseconds. */
export async function pingSite(id: string): Promise<number> {
  const pong = await answer(client.POST('/api/v1/sites/{id}/ping', { params: { path: { id } } }))
  return pong.round_trip_ms
}

// What follows is for admins alone.

/** Pairs with the core of a code that `ownline-core pair` has printed. */
export function addSite(code: string, name: string, host: string): Promise<Site> {
  return answer(client.POST('/api/v1/sites', { body: { code, name, host } }))
}

/** Pairs with a site's core once more, or with another one in its place. */
export function pairSite(id: string, code: string): Promise<Site> {
  return answer(client.POST('/api/v1/sites/{id}/pair', { params: { path: { id } }, body: { code } }))
}

export function changeSite(id: string, body: SiteChange): Promise<Site> {
  return answer(client.PATCH('/api/v1/sites/{id}', { params: { path: { id } }, body }))
}

/** Sends everything to the core again; resolves once it is applied. */
export function applySite(id: string): Promise<Site> {
  return answer(client.POST('/api/v1/sites/{id}/apply', { params: { path: { id } } }))
}

/** What the core has not applied yet. */
export function sitePending(id: string): Promise<Pending> {
  return answer(client.GET('/api/v1/sites/{id}/pending', { params: { path: { id } } }))
}

export async function removeSite(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/sites/{id}', { params: { path: { id } } }))
}

/** Ends everybody's sessions at a site; returns how many there were. */
export async function flushSite(site: string): Promise<number> {
  const query = { all: true, site }
  return (await answer(client.DELETE('/api/v1/sessions', { params: { query } }))).ended
}

/** Has the core connect to an address and port in its LAN. */
export function reachTarget(id: string, target: string): Promise<Reached> {
  return answer(client.POST('/api/v1/sites/{id}/reach', { params: { path: { id } }, body: { target } }))
}
