import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import * as auth from '@/api/auth'
import * as api from '@/api/factors'
import { asProblem, type Problem } from '@/api/problem'
import type { Load } from './collection'
import { whenLeft } from './forget'

/** By what one signs in: the password, passkeys, codes of an app, an identity provider. */
export const useFactors = defineStore('factors', () => {
  const state = ref<Load>('idle')
  const problem = shallowRef<Problem>()
  const factors = shallowRef<api.Factors>()
  const passkeys = shallowRef<api.Passkey[]>([])
  const links = shallowRef<api.ProviderLink[]>([])
  /** What the identity provider is called; undefined: there is none. */
  const provider = shallowRef<string>()

  async function load(): Promise<void> {
    if (state.value !== 'ready') state.value = 'loading'
    try {
      const [all, keys, linked, methods] = await Promise.all([
        api.factors(),
        api.passkeys(),
        api.providerLinks(),
        auth.methods(),
      ])
      factors.value = all
      passkeys.value = keys
      links.value = linked
      provider.value = methods.oidc?.name
      state.value = 'ready'
      problem.value = undefined
    } catch (error) {
      problem.value = asProblem(error)
      if (state.value !== 'ready') state.value = 'failed'
    }
  }

  /** Renames at once; throws a Problem, and has the old name again, if the server refuses. */
  async function rename(passkey: api.Passkey, name: string): Promise<void> {
    const named = (as: api.Passkey) =>
      (passkeys.value = passkeys.value.map((one) => (one.id === passkey.id ? as : one)))
    named({ ...passkey, name })
    try {
      named(await api.renamePasskey(passkey.id, name))
    } catch (error) {
      named(passkey)
      throw error
    }
  }

  async function remove(passkey: api.Passkey): Promise<void> {
    await api.removePasskey(passkey.id)
    passkeys.value = passkeys.value.filter((one) => one.id !== passkey.id)
  }

  async function unlink(): Promise<void> {
    await api.unlinkProviders()
    links.value = []
  }

  whenLeft(() => {
    state.value = 'idle'
    factors.value = undefined
    passkeys.value = []
    links.value = []
  })

  return { state, problem, factors, passkeys, links, provider, load, rename, remove, unlink }
})
