import { defineStore } from 'pinia'
import { computed } from 'vue'
import * as api from '@/api/grants'
import { asProblem, Problem } from '@/api/problem'
import { useLanguage } from '@/messages'
import { collection } from './collection'
import { useNotices } from './notices'

export type Grant = api.Grant

/** A user and a service: a cell of the matrix. */
export interface Pair {
  user: string
  service: string
}

/** What of a grant can be chosen. */
export interface Terms {
  automatic: boolean
  allow_reserved: boolean
  /** Only knocks that name the address they come from open it. */
  require_claimed_source: boolean
  /** Undefined: what the configuration says. */
  max_duration: string | undefined
  /** Undefined: any. */
  public_port: number | undefined
  /** Addresses of one device that may be open side by side. Undefined: the usual two. */
  max_sources: number | undefined
  /** Countries, autonomous systems and networks. Undefined: anywhere. */
  allowed_from: string[] | undefined
}

const keyOf = (pair: Pair) => `${pair.user} ${pair.service}`
const isGuess = (grant: Grant) => grant.id.startsWith('guess ')

/** Everybody's grants, changed at once and set back when the server refuses. For admins. */
export const useEveryGrant = defineStore('everyGrant', () => {
  const language = useLanguage()
  const notices = useNotices()
  const list = collection(() => api.listGrants())
  const byPair = computed(() => new Map(list.all.value.map((grant) => [keyOf(grant), grant])))

  const of = (pair: Pair) => byPair.value.get(keyOf(pair))

  function add(pair: Pair, terms: Partial<Terms> = {}): { done: Promise<void>; takeBack: () => void } {
    const bare = { ...pair, id: `guess ${keyOf(pair)}`, automatic: false, allow_reserved: false, require_claimed_source: false, created: new Date().toISOString() }
    const guess = withTerms(bare, terms)
    const takeBack = list.guess(guess, guess.id)
    return { done: ask(), takeBack }

    async function ask(): Promise<void> {
      const made = await api.addGrant({ ...pair, ...given(terms) })
      list.remove(guess.id)
      list.put(made)
    }
  }

  function remove(grant: Grant): { done: Promise<void>; takeBack: () => void } {
    const takeBack = list.guess(undefined, grant.id)
    return { done: api.removeGrant(grant.id), takeBack }
  }

  /** Runs changes that were drawn already; what is refused is drawn as before, and told. */
  async function settle(changes: { done: Promise<void>; takeBack: () => void }[]): Promise<boolean> {
    const outcomes = await Promise.allSettled(changes.map(({ done }) => done))
    let refused: unknown
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') continue
      changes[index]?.takeBack()
      refused = outcome.reason
    }
    if (refused === undefined) return true
    notices.fail(asProblem(refused))
    return false
  }

  /** Has each of the pairs granted or not; what is so already stays as it is. words tell how many it was. */
  async function setAll(pairs: Pair[], wanted: boolean, words: (n: number) => string): Promise<void> {
    const before = pairs.flatMap((pair) => of(pair) ?? [])
    const missing = pairs.filter((pair) => !of(pair))
    // A guess that is on its way can't be removed yet.
    if (before.some(isGuess)) return
    const changes = wanted ? missing.map((pair) => add(pair)) : before.map(remove)
    if (changes.length === 0 || !(await settle(changes))) return
    notices.show(words(changes.length), [{ label: language.t.session.undo, run: () => void undo(wanted, missing, before) }])
  }

  async function undo(wanted: boolean, missing: Pair[], before: Grant[]): Promise<void> {
    if (wanted) await settle(missing.flatMap((pair) => of(pair) ?? []).map(remove))
    else await settle(before.map(({ user, service, ...terms }) => add({ user, service }, termsOf(terms))))
  }

  async function change(grant: Grant, terms: Partial<Terms>): Promise<void> {
    if (isGuess(grant)) return
    const takeBack = list.guess(withTerms(grant, terms), grant.id)
    const { automatic, allow_reserved, require_claimed_source } = terms
    const body: api.GrantChange = {
      ...(automatic !== undefined && { automatic }),
      ...(allow_reserved !== undefined && { allow_reserved }),
      ...(require_claimed_source !== undefined && { require_claimed_source }),
      ...('max_duration' in terms && { max_duration: terms.max_duration ?? '' }),
      ...('public_port' in terms && { public_port: terms.public_port ?? 0 }),
      ...('max_sources' in terms && { max_sources: terms.max_sources ?? 0 }),
      ...('allowed_from' in terms && { allowed_from: terms.allowed_from ?? [] }),
    }
    const done = api.changeGrant(grant.id, body).then(list.put)
    if (!(await settle([{ done, takeBack }]))) return
    const before = termsOf(grant)
    const were = Object.fromEntries(Object.keys(terms).map((name) => [name, before[name as keyof Terms]])) as Partial<Terms>
    notices.show(language.t.part.saved, [{ label: language.t.session.undo, run: () => void setBack(grant, were) }])
  }

  async function setBack(grant: Grant, were: Partial<Terms>): Promise<void> {
    const now = list.get(grant.id)
    if (now) await change(now, were)
  }

  /** Has it count only from there, or from anywhere; throws a Problem. */
  async function allowFrom(grant: Grant, words: string[]): Promise<void> {
    if (isGuess(grant)) throw new Problem(409)
    list.put(await api.changeGrant(grant.id, { allowed_from: words }))
  }

  return { ...list, of, setAll, change, allowFrom }
})

function termsOf({ automatic, allow_reserved, require_claimed_source, max_duration, public_port, max_sources, allowed_from }: Omit<Grant, 'user' | 'service'>): Terms {
  return { automatic, allow_reserved, require_claimed_source, max_duration, public_port, max_sources, allowed_from: allowed_from ?? undefined }
}

/** A grant with other terms; what is undefined of them goes. */
function withTerms(grant: Grant, terms: Partial<Terms>): Grant {
  const { max_duration, public_port, max_sources, allowed_from, ...rest } = { ...grant, ...terms }
  const { automatic = grant.automatic, allow_reserved = grant.allow_reserved, require_claimed_source = grant.require_claimed_source } = terms
  return { ...rest, automatic, allow_reserved, require_claimed_source, ...optional({ max_duration, public_port, max_sources, allowed_from: allowed_from ?? undefined }) }
}

function optional({ max_duration, public_port, max_sources, allowed_from }: Omit<Terms, 'automatic' | 'allow_reserved' | 'require_claimed_source'>) {
  return {
    ...(max_duration && { max_duration }), ...(public_port && { public_port }), ...(max_sources && { max_sources }),
    ...(allowed_from?.length && { allowed_from }),
  }
}

function given({ automatic, allow_reserved, require_claimed_source, max_duration, public_port, max_sources, allowed_from }: Partial<Terms>): Partial<api.NewGrant> {
  return {
    ...(automatic && { automatic }), ...(allow_reserved && { allow_reserved }), ...(require_claimed_source && { require_claimed_source }),
    ...optional({ max_duration, public_port, max_sources, allowed_from }),
  }
}
