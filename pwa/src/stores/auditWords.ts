import type { AuditLine } from '@/api/audit'
import type { Messages } from '@/messages'
import { length, secondsOf, sourceText } from '@/messages/format'

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

/** What a session was opened with, as the server writes it. */
const opened = /^(?<service>\S+) for (?<source>\S+), port (?<port>\d+)\/\w+ to (?<target>.+) until (?<until>\S+)$/
const granted = /^(?<user>\S+) may use (?<service>\S+); automatic (?<automatic>true|false), port (?<port>\d+), reserved (?:true|false), at most (?<most>[^\s,]+)(?:, (?<sources>\d+) sources of a device)?$/

/**
 * A detail in the words of the language: of the actions whose details the server always writes in
 * one way. The rest stays as it is.
 */
export function sayDetail(t: Messages, { action, detail }: Pick<AuditLine, 'action' | 'detail'>, moment: (time: string) => string): string {
  const words = t.audit.said
  const reasons: Record<string, string> = t.session.reasons
  switch (action) {
    case 'session.end':
      return reasons[detail] ?? detail
    case 'session.renew':
      return detail.startsWith('until ') ? words.until(moment(detail.slice(6))) : detail
    case 'session.open': {
      const parts = opened.exec(detail)?.groups
      if (!parts) return detail
      const { service = '', source = '', port = '', until = '' } = parts
      return words.opened(service, sourceText(source), port, moment(until))
    }
    case 'grant.add':
    case 'grant.change':
    case 'grant.remove': {
      const parts = granted.exec(detail)?.groups
      if (!parts) return detail
      const { user = '', service = '', automatic, port = '0', most = '', sources = '2' } = parts
      const terms = [
        ...(automatic === 'true' ? [words.automatic] : []),
        ...(port === '0' ? [] : [words.port(port)]),
        ...(sources === '2' ? [] : [words.sources(Number(sources))]),
        ...(secondsOf(most) ? [t.part.upTo(length((secondsOf(most) ?? 0) * 1000))] : []),
      ]
      return [words.grant(user, service), ...terms].join(' · ')
    }
    case 'user.add': {
      const [, name, role] = /^(\S+) as (admin|user)$/.exec(detail) ?? []
      return name ? words.role(name, role === 'admin') : detail
    }
    default:
      return detail
  }
}

/** A time in a detail as the server writes it, made one of this place. */
export function localTimes(detail: string, say: (date: Date) => string): string {
  return detail.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b/g, (time) => say(new Date(time)))
}
