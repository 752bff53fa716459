import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import * as auth from '@/api/auth'
import { asProblem } from '@/api/problem'

/** unknown: not asked yet. unreachable: asked, and nobody answered. */
export type SignIn = 'unknown' | 'in' | 'out' | 'unreachable'

/** Who is signed in. */
export const useAccount = defineStore('account', () => {
  const me = shallowRef<auth.Me>()
  const state = ref<SignIn>('unknown')
  const isAdmin = computed(() => me.value?.role === 'admin')

  function enter(who: auth.Me): void {
    me.value = who
    state.value = 'in'
  }

  function leave(): void {
    me.value = undefined
    state.value = 'out'
  }

  /** Asks the server who is signed in; never fails. A signal ends the wait for an answer. */
  async function load(signal?: AbortSignal): Promise<SignIn> {
    try {
      enter(await auth.me(signal))
    } catch (error) {
      if (asProblem(error).status === 401) leave()
      else if (state.value !== 'in') state.value = 'unreachable'
    }
    return state.value
  }

  async function login(name: string, password: string): Promise<void> {
    enter(await auth.login(name, password))
  }

  async function secondFactor(challenge: string, code: string): Promise<void> {
    enter(await auth.secondFactor(challenge, code))
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

  return { me, state, isAdmin, load, login, secondFactor, changePassword, setup, logout, leave }
})
