import { answer, client } from './client'
import type { components } from './schema'

/** The address this browser has for the server, and the source a session would admit. */
export type Whoami = components['schemas']['Whoami']

export function whoami(signal?: AbortSignal): Promise<Whoami> {
  return answer(client.GET('/api/v1/whoami', { ...(signal && { signal }) }))
}
