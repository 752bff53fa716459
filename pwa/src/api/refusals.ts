import { answer, client } from './client'
import type { components } from './schema'

export type Refusal = components['schemas']['Refusal']

/** How often knocks were refused, and why: of today and the days before, so many in all. For admins. */
export async function listRefusals(days: number, site?: string): Promise<Refusal[]> {
  const query = { days, ...(site && { site }) }
  return (await answer(client.GET('/api/v1/refusals', { params: { query } }))).items ?? []
}
