import { answer, client } from './client'

/** The version of the server, whose pages these are. */
export async function serverVersion(): Promise<string> {
  return (await answer(client.GET('/api/v1/about'))).version
}
