import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import * as auth from '@/api/auth'
import { nextAsker } from '@/api/client'
import { passkeyLogin } from '@/api/passkeys'
import { asProblem } from '@/api/problem'

/**
 * unknown: not asked yet. unreachable: asked, and nobody answered. away: the same, but it is known
 * who was signed in. over: the sign-in has run out, and the page waits for another.
 */
export type SignIn = 'unknown' | 'in' | 'out' | 'unreachable' | 'away' | 'over'

/** A server that has not said for so long who is signed in, in milliseconds, does not answer. */
const patience = 10_000

/** Who is signed in. */
export const useAccount = defineStore('account', () => {
  const me = shallowRef<auth.Me>()
  const state = ref<SignIn>('unknown')
  /** Whether the server did not answer when it was last asked who is signed in. */
  const unanswered = ref(false)
  /** Why nobody is signed in any more, where an admin has done that. */
  const shutBy = ref<'disabled' | 'removed'>()
  const isAdmin = computed(() => me.value?.role === 'admin')

  // As whenLeft, which goes by this store.
  watch(
    () => me.value?.id,
    (_, before) => {
      if (before !== undefined) nextAsker()
    },
    { flush: 'sync' },
  )

  /** Who has to choose a password first is in only then: before, the server answers nothing else. */
  function enter(who: auth.Me): void {
    me.value = who
    unanswered.value = false
    shutBy.value = undefined
    if (!who.must_change_password) state.value = 'in'
    else if (state.value !== 'over') state.value = 'out'
  }

  function leave(): void {
    me.value = undefined
    state.value = 'out'
  }

  /** The account is no longer good: nobody can go on where they were, but somebody else who is in since, by another tab. */
  async function shut(why: 'disabled' | 'removed'): Promise<void> {
    const gone = me.value?.id
    const now = await auth.me().catch(() => undefined)
    if (now && now.id !== gone) return enter(now)
    shutBy.value = why
    leave()
  }

  /** The server no longer knows the sign-in: whoever was at work goes on after another. */
  function expire(): void {
    if (state.value === 'in') state.value = 'over'
    else if (state.value !== 'over') leave()
  }

  /**
   * Asks the server who is signed in; never fails. A signal ends the wait for an answer, or else patience. before is
   * who was the last time, to show what is known of them when nobody answers.
   */
  async function load(ask: { signal?: AbortSignal; before?: auth.Me | undefined } = {}): Promise<SignIn> {
    try {
      enter(await auth.me(ask.signal ?? AbortSignal.timeout(patience)))
    } catch (error) {
      const problem = asProblem(error)
      unanswered.value = problem.unreachable
      if (problem.status === 401) expire()
      else if (state.value === 'unknown' || state.value === 'unreachable') {
        me.value = ask.before
        state.value = ask.before ? 'away' : 'unreachable'
      }
    }
    return state.value
  }

  async function login(name: string, password: string): Promise<void> {
    enter(await auth.login(name, password))
  }

  async function secondFactor(challenge: string, code: string): Promise<void> {
    enter(await auth.secondFactor(challenge, code))
  }

  async function passkey(how: Parameters<typeof passkeyLogin>[0]): Promise<void> {
    enter(await passkeyLogin(how))
  }

  async function changePassword(current: string, password: string): Promise<void> {
    await auth.changePassword(current, password)
    enter(await auth.me())
  }

  async function setup(token: string, name: string, password: string): Promise<void> {
    enter(await auth.setup(token, name, password))
  }

  /** Signs out; throws a Problem, and stays signed in, if the server can't be told. */
  async function logout(): Promise<void> {
    try {
      await auth.logout()
    } catch (error) {
      if (asProblem(error).status !== 401) throw error
    }
    leave()
  }

  return {
    me, state, unanswered, shutBy, isAdmin, load, login, secondFactor, passkey, changePassword, setup, logout, leave, expire, shut,
  }
})
