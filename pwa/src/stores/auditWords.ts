import type { AuditLine } from '@/api/audit'
import type { Messages } from '@/messages'

/** What was done, in words; what has none yet keeps the server's name for it. */
export function sayAction(t: Messages, action: string): string {
  const words: Record<string, string> = t.audit.actions
  return words[action] ?? action
}

export function sayBy(t: Messages, by: string): string {
  const words: Record<string, string> = t.audit.bys
  return words[by] ?? by
}

export interface Difference {
  before: string
  after: string
}

/** What a line says to have been before and after, of lines that say both. */
export function differenceOf({ detail }: Pick<AuditLine, 'detail'>): Difference | undefined {
  const at = detail.indexOf(' -> ')
  return at === -1 ? undefined : { before: detail.slice(0, at), after: detail.slice(at + 4) }
}

/** The words of a text, and which of them the other text has not. */
export function marked(text: string, other: string): { word: string; changed: boolean }[] {
  const there = new Set(other.split(' '))
  return text.split(' ').map((word) => ({ word, changed: !there.has(word) }))
}

/** A time in a detail as the server writes it, made one of this place. */
export function localTimes(detail: string, say: (date: Date) => string): string {
  return detail.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b/g, (time) => say(new Date(time)))
}
