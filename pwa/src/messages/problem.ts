import type { Problem } from '@/api/problem'
import type { Messages } from './en'

/** A part of a sentence that somebody else wrote, as one that ends. */
export function asSentence(words: string): string {
  return /[.?!]$/.test(words) ? words : `${words}.`
}

/** How sentences begin whose subject is the field that they are about: in English, in Spanish. */
const predicate =
  /^(?:is|are|was|must|needs|has|can't|lies|names an|debe|deben|no|es|son|ya|necesita|tiene|está|ha|hace|falta|se|cierra|solo|ocupa)(?![a-záéíóú])/

/** Whether a sentence lacks a subject: that is the field that it is about. */
export function lacksSubject(words: string): boolean {
  return predicate.test(words)
}

/** What the server says is wrong with a field, as a sentence that stands below it. */
export function atField(t: Messages, label: string, words: string): string {
  return asSentence(lacksSubject(words) ? t.problem.about(label, words) : words.charAt(0).toLocaleUpperCase() + words.slice(1))
}

/** What happened, in words for a person. */
export function sayProblem(t: Messages, problem: Problem): string {
  if (problem.unreachable) return t.app.unreachable
  switch (problem.status) {
    case 401:
      return t.problem.signedOut
    case 403:
      return problem.fields.some(({ field }) => field === 'source') ? t.problem.notFromHere : t.problem.notAllowed
    case 404:
      return t.problem.gone
    case 429:
      return t.login.tooMany(Math.ceil((problem.retryAfter ?? 60) / 60))
    case 503: {
      // It is the core, mostly; else a database, or an identity provider.
      const what = problem.fields[0]
      if (!what || what.code?.startsWith('core_away')) return t.problem.core
      return what.code ? t.problem.refused(what.message.replace(/\.$/, '')) : t.problem.silent
    }
    case 400:
    case 409:
    case 422: {
      // The detail begins with the name that the field has in the API, which says nothing here.
      const why = problem.fields[0]?.message || problem.detail
      if (!why) return t.problem.unknown
      return (lacksSubject(why) ? t.problem.refusedEntry : t.problem.refused)(why.replace(/\.$/, ''))
    }
    default:
      return t.problem.unknown
  }
}

/** Why something failed, of which the app may have words of its own. */
export function sayFailure(t: Messages, why: Problem | string): string {
  return typeof why === 'string' ? why : sayProblem(t, why)
}

/** For whoever looks into a problem; undefined where what people are told of it says already what is wrong. */
export function detailsOf(t: Messages, why: Problem | string): string | undefined {
  if (typeof why === 'string' || sayProblem(t, why) !== t.problem.unknown) return undefined
  return [why.at, why.request, why.type, why.status].filter(Boolean).join('\n')
}
