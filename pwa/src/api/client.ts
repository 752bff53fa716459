import createClient from 'openapi-fetch'
import { Problem } from './problem'
import type { paths } from './schema'

/** When a request left, when its answer came (both by this machine), and the server's Date. */
export interface Timing {
  sent: number
  received: number
  date: number
}

type Listener<T> = (value: T) => void

const timingListeners = new Set<Listener<Timing>>()
const signedOutListeners = new Set<Listener<void>>()

/** Calls listener with the timing of every answer. */
export function onTiming(listener: Listener<Timing>): void {
  timingListeners.add(listener)
}

/** Calls listener whenever the server says that nobody is signed in. */
export function onSignedOut(listener: Listener<void>): void {
  signedOutListeners.add(listener)
}

/** Another number for each person who asks: it changes whenever one who was signed in is not any more. */
let asker = 0

/** Whoever was signed in is not any more: answers to what they asked tell the next person nothing. */
export function nextAsker(): void {
  asker++
}

let translate: (problem: Problem) => Promise<void> = async () => {}

/** Has every problem pass here before it is thrown, so that it speaks the user's language. */
export function onProblem(listener: typeof translate): void {
  translate = listener
}

async function timedFetch(request: Request): Promise<Response> {
  const sent = Date.now()
  const response = await fetch(request)
  const received = Date.now()
  const date = Date.parse(response.headers.get('Date') ?? '')
  if (!Number.isNaN(date)) {
    for (const tell of timingListeners) tell({ sent, received, date })
  }
  return response
}

export const client = createClient<paths>({ baseUrl: location.origin, fetch: timedFetch })

interface Outcome<T> {
  data?: T
  error?: unknown
  response: Response
}

/**
 * The data of a call, or a thrown Problem. A 401 is told to the listeners of onSignedOut,
 * except where it only means that a password was wrong. What the person before had asked ends as
 * for somebody who is signed out.
 */
export async function answer<T>(call: Promise<Outcome<T>>, signingIn = false): Promise<T> {
  const by = asker
  let outcome: Outcome<T> | undefined
  let failure: unknown
  try {
    outcome = await call
  } catch (error) {
    failure = error
  }
  if (by !== asker && !signingIn) throw new Problem(401)
  if (!outcome) throw new Problem(0, String(failure))
  if (!outcome.response.ok) {
    if (outcome.response.status === 401 && !signingIn) {
      for (const tell of signedOutListeners) tell()
    }
    const problem = Problem.from(outcome.response, outcome.error)
    await translate(problem)
    throw problem
  }
  return outcome.data as T
}

interface Page<T> {
  items: T[] | null
  next?: string
}

/** Everything of a list, page after page. */
export async function everyPage<T>(page: (cursor?: string) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = []
  let cursor: string | undefined
  do {
    const { items, next } = await page(cursor)
    all.push(...(items ?? []))
    cursor = next
  } while (cursor)
  return all
}

/** The largest page that the server gives. */
export const pageLimit = 200
