import { answer, client } from './client'
import type { components } from './schema'

export type AuditLine = components['schemas']['AuditLine']

/** What the lines are narrowed to; what is empty narrows nothing. */
export interface AuditFilter {
  actor?: string
  by?: string
  action?: string
  subject?: string
  site?: string
  from?: string
  until?: string
}

export interface AuditPage {
  lines: AuditLine[]
  /** Where the next page begins; undefined after the last. */
  next: string | undefined
}

/** A page of the audit log, the newest first. For admins. */
export async function auditPage(filter: AuditFilter, limit: number, cursor?: string): Promise<AuditPage> {
  const query = { ...filter, limit, ...(cursor && { cursor }) }
  const { items, next } = await answer(client.GET('/api/v1/audit', { params: { query } }))
  return { lines: items ?? [], next }
}
