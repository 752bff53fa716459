import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

/** A bearer token, without its value. */
export type Token = components['schemas']['Token']
export type NewToken = components['schemas']['NewToken']
export type TokenRequest = components['schemas']['TokenRequest']
export type Scope = TokenRequest['scopes'][number]

/** One's own, the oldest first. */
export function listTokens(): Promise<Token[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/tokens', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}

export function addToken(request: TokenRequest): Promise<NewToken> {
  return answer(client.POST('/api/v1/tokens', { body: request }))
}

export async function removeToken(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/tokens/{id}', { params: { path: { id } } }))
}
