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

/**
 * Opens a service for the address this browser comes from; resolves once the core has applied it.
 * Two calls with the same key open one session. Without seconds the server chooses how long.
 */
export function openSession(service: string, key: string, seconds?: number): Promise<Session> {
  return answer(
    client.POST('/api/v1/sessions', {
      params: { header: { 'Idempotency-Key': key } },
      body: { service, ...(seconds && { for: `${seconds}s` }) },
    }),
  )
}

export function renewSession(id: string): Promise<Session> {
  return answer(client.POST('/api/v1/sessions/{id}/renew', { params: { path: { id } }, body: {} }))
}

export function closeSession(id: string): Promise<Session> {
  return answer(client.DELETE('/api/v1/sessions/{id}', { params: { path: { id } } }))
}

/** Ends all of one's own sessions; returns how many there were. */
export async function closeAll(): Promise<number> {
  return (await answer(client.DELETE('/api/v1/sessions', {}))).ended
}
