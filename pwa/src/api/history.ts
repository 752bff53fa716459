import { answer, client } from './client'
import type { Session } from './sessions'

export type Reason = NonNullable<Session['reason']>

/** Which ended sessions are looked at. What is left out filters nothing. */
export interface HistoryFilter {
  service?: string
  reason?: Reason
  device?: string
  /** An address, or a network. */
  source?: string
  site?: string
  user?: string
  /** They were opened then or later, */
  from?: string
  /** and before. */
  until?: string
  /** Everybody's, for an admin. */
  all?: boolean
}

/** One page of the sessions that have ended, the last that was opened first. */
export async function historyPage(filter: HistoryFilter, limit: number, cursor?: string): Promise<{ items: Session[]; next: string | undefined }> {
  const query = { ...filter, state: 'ended' as const, limit, ...(cursor && { cursor }) }
  const { items, next } = await answer(client.GET('/api/v1/sessions', { params: { query } }))
  return { items: items ?? [], next }
}
