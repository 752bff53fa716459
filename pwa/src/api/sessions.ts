import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Session = components['schemas']['Session']

/** Sessions that are opening or open: one's own, or everybody's for an admin who asks. */
export function listLive(everyone: boolean): Promise<Session[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/sessions', {
        params: {
          query: {
            state: 'live',
            limit: pageLimit,
            ...(everyone && { all: true }),
            ...(cursor && { cursor }),
          },
        },
      }),
    ),
  )
}

/** The sessions that ended last, the newest first. */
export async function listEnded(limit: number): Promise<Session[]> {
  const query = { state: 'ended' as const, limit }
  return (await answer(client.GET('/api/v1/sessions', { params: { query } }))).items ?? []
}

export function showSession(id: string): Promise<Session> {
  return answer(client.GET('/api/v1/sessions/{id}', { params: { path: { id } } }))
}

/** What a person may choose of a session; what is left out the server chooses. */
export interface Wish {
  seconds?: number | undefined
  port?: number | undefined
  /** Whom to let in instead of this browser; for admins. */
  source?: string | undefined
}

/**
 * Opens a service for the address this browser comes from; resolves once the core has applied it.
 * Two calls with the same key open one session.
 */
export function openSession(service: string, key: string, wish: Wish = {}): Promise<Session> {
  const { seconds, port, source } = wish
  return answer(
    client.POST('/api/v1/sessions', {
      params: { header: { 'Idempotency-Key': key } },
      body: {
        service,
        ...(seconds && { for: `${seconds}s` }),
        ...(port && { public_port: port }),
        ...(source && { source }),
      },
    }),
  )
}

/** Lets a session last so many seconds from now; without them the server's usual time. */
export function renewSession(id: string, seconds?: number): Promise<Session> {
  const body = { ...(seconds && { for: `${seconds}s` }) }
  return answer(client.POST('/api/v1/sessions/{id}/renew', { params: { path: { id } }, body }))
}

export function closeSession(id: string): Promise<Session> {
  return answer(client.DELETE('/api/v1/sessions/{id}', { params: { path: { id } } }))
}

/** Ends all of one's own sessions; returns how many there were. */
export async function closeAll(): Promise<number> {
  return (await answer(client.DELETE('/api/v1/sessions', {}))).ended
}
