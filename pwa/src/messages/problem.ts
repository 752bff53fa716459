import type { Problem } from '@/api/problem'
import type { Messages } from './en'

/** A part of a sentence that somebody else wrote, as one that ends. */
export function asSentence(words: string): string {
  return /[.?!]$/.test(words) ? words : `${words}.`
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
      return why ? t.problem.refused(why.replace(/\.$/, '')) : t.problem.unknown
    }
    default:
      return t.problem.unknown
  }
}
