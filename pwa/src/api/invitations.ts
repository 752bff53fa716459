import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'
import type { Session } from './sessions'

export type Invitation = components['schemas']['Invitation']
/** An invitation with its link, which is shown this once. */
export type Made = components['schemas']['Made']

/** What a person chooses of a new invitation; times in seconds. */
export interface Wanted {
  service: string
  seconds: number
  validFor: number
  uses: number
  message: string
}

/** One's own invitations, the newest first; everybody's for an admin who asks. */
export function listInvitations(everyone: boolean): Promise<Invitation[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/invitations', {
        params: {
          query: { limit: pageLimit, ...(everyone && { all: true }), ...(cursor && { cursor }) },
        },
      }),
    ),
  )
}

export function showInvitation(id: string): Promise<Invitation> {
  return answer(client.GET('/api/v1/invitations/{id}', { params: { path: { id } } }))
}

export function invite({ service, seconds, validFor, uses, message }: Wanted): Promise<Made> {
  const body = { service, for: `${seconds}s`, expires_in: `${validFor}s`, uses, message }
  return answer(client.POST('/api/v1/invitations', { body }))
}

export function revokeInvitation(id: string): Promise<Invitation> {
  return answer(client.DELETE('/api/v1/invitations/{id}', { params: { path: { id } } }))
}

/** The sessions that guests opened by an invitation, the newest first. */
export function guestSessions(invitation: string, everyone: boolean): Promise<Session[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/sessions', {
        params: {
          query: { invitation, limit: pageLimit, ...(everyone && { all: true }), ...(cursor && { cursor }) },
        },
      }),
    ),
  )
}
