import { answer, client } from './client'

/**
 * Logs in at a service with the login of this browser. Returns the address at the service to go
 * on to, which counts once.
 */
export async function addPass(service: string, state: string, to: string): Promise<string> {
  const body = { service, state, ...(to && { to }) }
  return (await answer(client.POST('/api/v1/passes', { body }))).location
}
