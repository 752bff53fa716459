import type { components } from './schema'

type ErrorModel = components['schemas']['ErrorModel']
/** A name of what can be wrong with a field. */
export type Code = NonNullable<components['schemas']['ErrorDetail']['code']>

/** A field that the server did not like: "body.target" arrives as "target", what is about none as "". */
export interface FieldProblem {
  field: string
  /** In the user's language if the sentence has a code; else as the server says it. */
  message: string
  /** Names the sentence. */
  code?: Code | undefined
  /** What is in the places of the sentence. */
  params?: Record<string, string> | undefined
}

/**
 * What the server answered instead of what was asked for (RFC 9457), or that it did not answer
 * at all: then status is 0.
 */
export class Problem extends Error {
  readonly status: number
  readonly detail: string
  readonly fields: FieldProblem[]
  /** Seconds to wait before trying again, when the server said so. */
  readonly retryAfter: number | undefined
  /** What the server calls it, when it has a name of its own. */
  readonly type: string
  /** The challenge of a sign-in that wants a second factor. */
  readonly challenge: string
  /** What will do as the second factor. */
  readonly factors: string[]
  /** By which the server's log finds what was asked, and when that was. */
  readonly request: string
  readonly at = new Date().toISOString()

  constructor(
    status: number,
    detail = '',
    fields: FieldProblem[] = [],
    retryAfter?: number,
    type = '',
    challenge = '',
    factors: string[] = [],
    request = '',
  ) {
    super(detail || `status ${status}`)
    this.name = 'Problem'
    this.status = status
    this.detail = detail
    this.fields = fields
    this.retryAfter = retryAfter
    this.type = type
    this.challenge = challenge
    this.factors = factors
    this.request = request
  }

  /** The password was right, and a code is wanted, too. */
  get needsCode(): boolean {
    return this.type === 'urn:ownline:problem:second-factor'
  }

  /** Nobody answered, or a proxy that found nobody: what became of a change is not known. */
  get unreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 504
  }

  static from(response: Response, body: unknown): Problem {
    const model: Partial<ErrorModel> & { challenge?: string; factors?: string[] } = isErrorModel(body) ? body : {}
    const fields = (model.errors ?? []).map((error) => ({
      field: (error.location ?? '').replace(/^body\./, ''),
      message: error.message ?? '',
      code: error.code,
      params: error.params,
    }))
    const wait = Number.parseInt(response.headers.get('Retry-After') ?? '', 10)
    // What the path says is no identifier: no more is there than under one that names nothing.
    const lost = fields.some(({ field }) => field.startsWith('path.'))
    return new Problem(
      lost ? 404 : response.status,
      model.detail,
      fields,
      Number.isNaN(wait) ? undefined : wait,
      model.type,
      model.challenge,
      model.factors ?? [],
      response.headers.get('X-Request-Id') ?? '',
    )
  }
}

function isErrorModel(body: unknown): body is ErrorModel {
  return typeof body === 'object' && body !== null
}

/** Whatever was thrown, as a Problem: everything that is not one means nothing was answered. */
export function asProblem(thrown: unknown): Problem {
  return thrown instanceof Problem ? thrown : new Problem(0, String(thrown))
}
