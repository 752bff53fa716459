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

/** A page of the audit log, the newest first. For admins. */
export async function auditPage(filter: AuditFilter, limit: number, cursor?: string): Promise<{ items: AuditLine[]; next: string | undefined }> {
  const query = { ...filter, limit, ...(cursor && { cursor }) }
  const { items, next } = await answer(client.GET('/api/v1/audit', { params: { query } }))
  return { items: items ?? [], next }
}
