import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Service = components['schemas']['Service']

/** The services that the person signed in may use; all of them for an admin. */
export function listServices(): Promise<Service[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/services', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}
