import { defineStore } from 'pinia'
import * as api from '@/api/tokens'
import { collection } from './collection'

/** One's own bearer tokens, the oldest first. */
export const useTokens = defineStore('tokens', () => {
  const list = collection(api.listTokens)

  /** Makes a token and returns its value, which is known only now. */
  async function add(request: api.TokenRequest): Promise<string> {
    const { token: value, ...made } = await api.addToken(request)
    list.put(made)
    return value
  }

  async function remove(token: api.Token): Promise<void> {
    await api.removeToken(token.id)
    list.remove(token.id)
  }

  return { ...list, add, remove }
})
