import { defineStore } from 'pinia'
import { computed } from 'vue'
import * as api from '@/api/users'
import { collection } from './collection'

/** Everybody who may sign in. For admins. */
export const useUsers = defineStore('users', () => {
  const list = collection(api.listUsers)
  const sorted = computed(() => list.all.value.toSorted((a, b) => a.name.localeCompare(b.name)))

  async function add(user: api.NewUser): Promise<api.User> {
    const made = await api.addUser(user)
    list.put(made)
    return made
  }

  async function change(id: string, wanted: api.UserChange): Promise<void> {
    list.put(await api.changeUser(id, wanted))
  }

  async function remove(id: string): Promise<void> {
    await api.removeUser(id)
    list.remove(id)
  }

  return { ...list, sorted, add, change, remove, resetFactors: api.resetFactors }
})

const letters = 'abcdefghijkmnpqrstuvwxyz23456789'

/** A password to be told once: five groups of four, without letters that look alike. */
export function oneTimePassword(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20))
  const chars = [...bytes].map((byte) => letters[byte % letters.length])
  return [0, 4, 8, 12, 16].map((at) => chars.slice(at, at + 4).join('')).join('-')
}
