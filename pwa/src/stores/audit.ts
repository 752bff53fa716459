import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { auditPage, type AuditFilter, type AuditLine } from '@/api/audit'
import { asProblem, type Problem } from '@/api/problem'
import type { Load } from './collection'
import { asCsv } from './csv'

const pageSize = 50
/** What an export takes along at most: more than that is for the command line. */
const exportMost = 10_000

/** The audit log, page by page. For admins. */
export const useAudit = defineStore('audit', () => {
  const lines = shallowRef<AuditLine[]>([])
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  const next = ref<string>()
  const fetching = ref(false)
  const hasMore = computed(() => next.value !== undefined)
  let filter: AuditFilter = {}
  let round = 0

  /** Starts from the newest line of those that the filter lets through. */
  async function load(by: AuditFilter): Promise<void> {
    filter = by
    lines.value = []
    next.value = undefined
    state.value = 'loading'
    await fetchPage(++round)
  }

  async function more(): Promise<void> {
    if (!fetching.value && hasMore.value) await fetchPage(round)
  }

  async function fetchPage(mine: number): Promise<void> {
    fetching.value = true
    try {
      const page = await auditPage(filter, pageSize, next.value)
      if (mine !== round) return
      lines.value = [...lines.value, ...page.lines]
      next.value = page.next
      state.value = 'ready'
      problem.value = undefined
    } catch (error) {
      if (mine !== round) return
      problem.value = asProblem(error)
      if (state.value === 'loading') state.value = 'failed'
    } finally {
      if (mine === round) fetching.value = false
    }
  }

  return { lines, state, problem, fetching, hasMore, load, more }
})

const columns = ['at', 'actor_name', 'by', 'client', 'action', 'subject', 'site_name', 'detail'] as const

/** All that the filter lets through, as a table for other programs. */
export async function exportAudit(by: AuditFilter): Promise<string> {
  const all: AuditLine[] = []
  let cursor: string | undefined
  do {
    const page = await auditPage(by, 200, cursor)
    all.push(...page.lines)
    cursor = page.next
  } while (cursor && all.length < exportMost)
  return asCsv([[...columns], ...all.map((line) => columns.map((column) => line[column] ?? ''))])
}
