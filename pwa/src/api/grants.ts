import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Grant = components['schemas']['Grant']

/** The grants of a user; of anybody for an admin who names nobody. */
export function listGrants(user?: string): Promise<Grant[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/grants', {
        params: { query: { limit: pageLimit, ...(user && { user }), ...(cursor && { cursor }) } },
      }),
    ),
  )
}

/** Has a knock open the service, or no more. For admins. */
export function setAutomatic(id: string, automatic: boolean): Promise<Grant> {
  return answer(client.PATCH('/api/v1/grants/{id}', { params: { path: { id } }, body: { automatic } }))
}
