import type { Problem } from '@/api/problem'
import type { Messages } from './en'

/** What happened, in words for a person. */
export function sayProblem(t: Messages, problem: Problem): string {
  switch (problem.status) {
    case 0:
      return t.app.unreachable
    case 401:
      return t.problem.signedOut
    case 403:
      return problem.fields.some(({ field }) => field === 'source') ? t.problem.notFromHere : t.problem.notAllowed
    case 404:
      return t.problem.gone
    case 429:
      return t.login.tooMany(Math.ceil((problem.retryAfter ?? 60) / 60))
    case 503:
      return t.problem.core
    case 400:
    case 409:
    case 422: {
      const why = problem.detail || problem.fields[0]?.message
      return why ? t.problem.refused(why.replace(/\.$/, '')) : t.problem.unknown
    }
    default:
      return t.problem.unknown
  }
}
