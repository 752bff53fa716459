import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Grant = components['schemas']['Grant']
export type NewGrant = components['schemas']['NewGrant']
export type GrantChange = components['schemas']['GrantChange']

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

// What follows is for admins alone.

/** Has a knock open the service, or no more. */
export function setAutomatic(id: string, automatic: boolean): Promise<Grant> {
  return changeGrant(id, { automatic })
}

export function addGrant(body: NewGrant): Promise<Grant> {
  return answer(client.POST('/api/v1/grants', { body }))
}

export function changeGrant(id: string, body: GrantChange): Promise<Grant> {
  return answer(client.PATCH('/api/v1/grants/{id}', { params: { path: { id } }, body }))
}

export async function removeGrant(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/grants/{id}', { params: { path: { id } } }))
}
