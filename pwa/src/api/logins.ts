import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

/** A browser that is signed in. */
export type Login = components['schemas']['Login']

/** One's own, the newest first. */
export function listLogins(): Promise<Login[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/logins', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}

export async function endLogin(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/logins/{id}', { params: { path: { id } } }))
}

/** Signs out everywhere but here. */
export async function endOtherLogins(): Promise<void> {
  await answer(client.DELETE('/api/v1/logins'))
}
