import { answer, client } from './client'
import type { components } from './schema'

/** A way to tell people the news, and how it is. */
export type Channel = components['schemas']['Channel']

export async function listChannels(): Promise<Channel[]> {
  return (await answer(client.GET('/api/v1/notifications'))).items ?? []
}

/** Sends a test message. Returns why it was not delivered; undefined: it was. */
export async function testChannel(name: string): Promise<string | undefined> {
  const path = { name }
  const result = await answer(client.POST('/api/v1/notifications/{name}/test', { params: { path } }))
  return result.delivered ? undefined : (result.error ?? '')
}
