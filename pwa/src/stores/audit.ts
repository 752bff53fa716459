import { defineStore } from 'pinia'
import { auditPage, type AuditFilter } from '@/api/audit'
import { asCsv } from './csv'
import { exported, paged } from './paged'

/** The audit log, page by page. For admins. */
export const useAudit = defineStore('audit', () => {
  const { items: lines, ...list } = paged(auditPage)
  return { ...list, lines }
})

const columns = ['at', 'actor_name', 'by', 'client', 'action', 'subject', 'site_name', 'detail'] as const

/** All that the filter lets through, as a table for other programs. */
export async function exportAudit(by: AuditFilter): Promise<string> {
  const all = await exported(auditPage, by)
  return asCsv([[...columns], ...all.map((line) => columns.map((column) => line[column] ?? ''))])
}
