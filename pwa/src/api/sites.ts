import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Site = components['schemas']['Site']

export function listSites(): Promise<Site[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/sites', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}
