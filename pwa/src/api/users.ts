import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type User = components['schemas']['User']
export type NewUser = components['schemas']['NewUser']
export type UserChange = components['schemas']['UserChange']

// For admins alone.

export function listUsers(): Promise<User[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/users', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}

export function addUser(body: NewUser): Promise<User> {
  return answer(client.POST('/api/v1/users', { body }))
}

export function changeUser(id: string, body: UserChange): Promise<User> {
  return answer(client.PATCH('/api/v1/users/{id}', { params: { path: { id } }, body }))
}

export async function removeUser(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/users/{id}', { params: { path: { id } } }))
}

/** Takes all but the password away, and signs the user out. */
export async function resetFactors(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/users/{id}/factors', { params: { path: { id } } }))
}

export type Device = components['schemas']['Device']

/** Everybody's devices. */
export function everyDevice(): Promise<Device[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/devices', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}
