import { defineStore } from 'pinia'
import { computed, ref, shallowReactive } from 'vue'
import type { Change } from '@/api/events'
import { asProblem, type Problem } from '@/api/problem'
import type { Service } from '@/api/services'
import * as api from '@/api/sessions'
import { useLanguage } from '@/messages'
import { length, secondsOf, sourceText } from '@/messages/format'
import { sayProblem } from '@/messages/problem'
import { useAccount } from './account'
import { type Act, actsOf, partsOf } from './acts'
import { useAddress } from './address'
import { useChoices } from './choices'
import { useClock } from './clock'
import { collection } from './collection'
import { useCopy } from './copy'
import { whenNoAdmin } from './forget'
import { useGrants } from './grants'
import { useInstall } from './install'
import { type NoticeAction, useNotices } from './notices'
import { useSites } from './sites'

type Session = api.Session

/** How long an ended session still stands in the list, saying why it ended. */
const lingers = 30_000
/** How long after its end a session that nobody reported as ended is still shown. */
const grace = 3_000
/** By how many seconds a tap extends. */
const extension = 30 * 60

const endOf = (session: Session) => Date.parse(session.ended ?? session.expires)

const admits = (act: Act, from: string | undefined) => partsOf(act).some(({ source }) => source === from)

/** Sessions: what is open, and opening, extending and closing at once with a way back. */
export const useSessions = defineStore('sessions', () => {
  const account = useAccount()
  const address = useAddress()
  const choices = useChoices()
  const clock = useClock()
  const copy = useCopy()
  const grants = useGrants()
  const language = useLanguage()
  const install = useInstall()
  const notices = useNotices()
  const sites = useSites()

  /** Whether an admin looks at everybody's sessions. */
  const everyone = ref(false)
  const list = collection(() => api.listLive(everyone.value))
  /** Ids of services that are being opened, and of sessions that are being extended. */
  const opening = shallowReactive(new Set<string>())
  const extending = shallowReactive(new Set<string>())
  /** Why a service could not be opened when it was last tried, by its id. */
  const failures = shallowReactive(new Map<string, Problem>())
  /** Closed by a tap in this browser: they leave the list at once, with an undo. */
  const dismissed = new Set<string>()

  const isMine = (session: Session) => session.user === account.me?.id
  const isHere = (act: Act) => admits(act, address.source)
  /** The clock may be a little behind: never more than the whole of it. */
  const left = ({ opened, expires }: Session) => Date.parse(expires) - Math.max(clock.now, Date.parse(opened))
  const isLive = (session: Session) => session.state !== 'ended' && left(session) > -grace
  const justEnded = (session: Session) =>
    session.state === 'ended' &&
    !dismissed.has(session.id) &&
    clock.now - endOf(session) < lingers

  /** What the dashboard lists: open, and ended a moment ago; soonest end first. */
  const shown = computed(() => {
    const wanted = list.all.value.filter((session) => everyone.value || isMine(session))
    // Of two of one act the one that goes on is a row of its own.
    return [...actsOf(wanted.filter(isLive)), ...actsOf(wanted.filter(justEnded))].toSorted(
      (a, b) => endOf(a) - endOf(b),
    )
  })
  const live = computed(() => shown.value.filter(isLive))

  /** The session by which an address, usually this one, may use a service now. */
  function forHere(service: string, here = address.source): Act | undefined {
    return live.value.find((s) => s.service === service && isMine(s) && admits(s, here))
  }

  /** What people see of a session. */
  function find(id: string): Act | undefined {
    return shown.value.find((act) => partsOf(act).some((one) => one.id === id)) ?? list.get(id)
  }

  /** Takes over what the server tells of a session. */
  function apply(session: Change<Session>): void {
    list.follow(session)
    for (const old of list.all.value) {
      if (old.state === 'ended' && clock.read() - endOf(old) > lingers) {
        list.remove(old.id)
        dismissed.delete(old.id)
      }
    }
  }

  /** Why a service was not opened, or not for so long, in words. */
  function why(service: string, problem: Problem): string {
    const longest = most(service)
    const tooLong = problem.fields.some(({ field }) => field === 'for') && Number.isFinite(longest)
    return tooLong ? language.t.part.atMost(length(longest * 1000)) : sayProblem(language.t, problem)
  }

  /** The way to what is open, for a toast. */
  function wayTo({ url, address: text }: Session): NoticeAction {
    return url ? { label: language.t.session.go, href: url } : { label: language.t.session.copy, run: () => void copy(text) }
  }

  /** Says what did not work. */
  function fail(
    words: (name: string, why: string) => string,
    service: Pick<Service, 'id' | 'name'>,
    problem: Problem,
  ): void {
    notices.fail(problem, words(service.name, why(service.id, problem)))
  }

  /**
   * Opens a service, as it was opened the last time unless wished otherwise. Who wishes shows by
   * itself why it did not work.
   */
  async function open(service: Pick<Service, 'id' | 'name'>, wish?: api.Wish): Promise<boolean> {
    if (opening.has(service.id)) return false
    opening.add(service.id)
    failures.delete(service.id)
    const { seconds, port, used } = choices.of(service.id)
    try {
      const session = await api.openSession(service.id, crypto.randomUUID(), wish ?? { seconds, port })
      apply(session)
      install.sessionOpened()
      choices.keep(service.id, { used: used + 1 })
      const span = Date.parse(session.expires) - clock.read()
      const undo = { label: language.t.session.undo, run: () => void close(session, false) }
      // For another address: whoever opened it is not let in.
      const elsewhere = wish?.source !== undefined && !isHere(session)
      const name = elsewhere ? language.t.session.forSource(service.name, sourceText(session.source)) : service.name
      notices.show(language.t.session.opened(name, length(span)), elsewhere ? [undo] : [wayTo(session), undo], { about: service.id })
      return true
    } catch (error) {
      const problem = asProblem(error)
      if (problem.status !== 401) failures.set(service.id, problem)
      if (!wish) fail(language.t.problem.notOpened, service, problem)
      return false
    } finally {
      opening.delete(service.id)
    }
  }

  /** Forgets the failures of which only a server that did not answer was the reason. */
  function forgive(): void {
    for (const [service, problem] of failures) if (problem.unreachable) failures.delete(service)
  }

  /** How many seconds a session of a service may last at most, as far as it is known. */
  function most(service: string): number {
    const granted = secondsOf(grants.of(service)?.max_duration) ?? Infinity
    return Math.min(account.me?.limits.max ?? Infinity, granted)
  }

  /**
   * Does the same to each session of an act, and says what did not work, of which if not of all.
   * Returns what became of the others, and the name of what they are.
   */
  async function toEach(
    act: Act,
    words: (name: string, why: string) => string,
    run: (session: Session) => Promise<Session>,
  ): Promise<{ done: Session[]; name: string }> {
    const failed: [Session, Problem][] = []
    const outcomes = await Promise.all(
      partsOf(act).map((session) =>
        run(session).catch((error: unknown) => void failed.push([session, asProblem(error)])),
      ),
    )
    const done = outcomes.filter((one) => one !== undefined)
    const some = done.length > 0 && failed.length > 0
    const nameOf = ({ service_name: name, source }: Session) =>
      some ? language.t.session.forSource(name, sourceText(source)) : name
    for (const [session, problem] of some ? failed : failed.slice(0, 1)) {
      fail(words, { id: session.service, name: nameOf(session) }, problem)
    }
    return { done, name: nameOf(done[0] ?? act) }
  }

  /** Lets a session last so many seconds longer, or as long as it may. */
  async function prolong(session: Session, by: number): Promise<Session> {
    const now = clock.read()
    const rest = Math.max(0, Date.parse(session.expires) - now) / 1000
    const seconds = Math.floor(Math.min(most(session.service), rest + by))
    const guessed = Math.max(Date.parse(session.expires), now + seconds * 1000)
    const takeBack = list.guess(
      { ...session, expires: new Date(guessed).toISOString() },
      session.id,
    )
    try {
      const renewed = await api.renewSession(session.id, seconds)
      apply(renewed)
      return renewed
    } catch (error) {
      takeBack()
      throw error
    }
  }

  /** By how many seconds a tap extends an act: no further than it may last, 0 where that is now. */
  function extendsBy(act: Act): number {
    return Math.max(0, Math.floor(Math.min(extension, most(act.service) - left(act) / 1000)))
  }

  /** Extends all of an act. */
  async function extend(act: Act, by = extension): Promise<void> {
    const ids = partsOf(act).map(({ id }) => id)
    if (ids.some((id) => extending.has(id))) return
    for (const id of ids) extending.add(id)
    const { done, name } = await toEach(act, language.t.problem.notExtended, (one) => prolong(one, by))
    for (const id of ids) extending.delete(id)
    if (done.length === 0) return
    const until = language.clockTime(new Date(Math.min(...done.map(endOf))))
    notices.show(language.t.session.extended(name, until), [], { about: act.service })
  }

  async function reopen(service: Pick<Service, 'id' | 'name'>, seconds: number): Promise<void> {
    if (await open(service, { seconds })) return
    const problem = failures.get(service.id)
    if (problem) fail(language.t.problem.notOpened, service, problem)
  }

  async function shut(session: Session): Promise<Session> {
    dismissed.add(session.id)
    const takeBack = list.guess(
      { ...session, state: 'ended', reason: 'closed', ended: new Date(clock.read()).toISOString() },
      session.id,
    )
    try {
      const closed = await api.closeSession(session.id)
      apply(closed)
      return closed
    } catch (error) {
      dismissed.delete(session.id)
      takeBack()
      throw error
    }
  }

  /** Closes all of an act at once. Undo opens again for the time that was left, if it would be for the same. */
  async function close(act: Act, undoable = true): Promise<void> {
    const service = { id: act.service, name: act.service_name }
    const seconds = Math.floor((Date.parse(act.expires) - clock.read()) / 1000)
    const { done, name } = await toEach(act, language.t.problem.notClosed, shut)
    if (done.length === 0) return
    if (sites.isDown(act.site)) {
      // The router does not know yet, and lets it through until it does.
      const until = language.clockTime(new Date(Math.max(...done.map(({ expires }) => Date.parse(expires)))))
      notices.show(language.t.session.closedLater(name, sites.get(act.site)?.name ?? '', until), [], { about: act.service })
      return
    }
    const canUndo = undoable && !act.parts && isMine(act) && isHere(act) && seconds > 0
    const undo = { label: language.t.session.undo, run: () => void reopen(service, seconds) }
    notices.show(language.t.session.closed(name), canUndo ? [undo] : [], { about: act.service })
  }

  /** Opens for this address what is open for the one before, for the time left, and closes that. */
  async function move(from: string): Promise<void> {
    const old = live.value.filter((s) => isMine(s) && !s.device && s.source === from)
    const outcomes = await Promise.all(
      old.map(async (session) => {
        const seconds = Math.floor((Date.parse(session.expires) - clock.read()) / 1000)
        if (seconds < 1) return undefined
        try {
          apply(await api.openSession(session.service, crypto.randomUUID(), { seconds }))
          dismissed.add(session.id)
          apply(await api.closeSession(session.id))
          return undefined
        } catch (error) {
          return { problem: asProblem(error), name: session.service_name }
        }
      }),
    )
    const failed = outcomes.filter((one) => one !== undefined)
    const { t } = language
    for (const { problem, name } of failed) notices.fail(problem, t.problem.notMoved(name, sayProblem(t, problem)))
    if (failed.length === 0) notices.show(language.t.session.moved(old.length))
  }

  /** Closes everything of one's own, wherever it was opened. */
  async function closeAll(): Promise<void> {
    try {
      const ended = await api.closeAll()
      await list.load()
      notices.show(language.t.session.closedAll(ended))
    } catch (error) {
      notices.fail(asProblem(error))
    }
  }

  whenNoAdmin(() => {
    everyone.value = false
    list.clear()
    dismissed.clear()
    failures.clear()
  })

  return {
    ...list, everyone, opening, extending, failures, shown, live,
    isMine, isHere, isLive, left, forHere, find, most, why, apply, open, forgive, extendsBy, extend, close, move, closeAll,
  }
})
