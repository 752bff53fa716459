import { defineStore } from 'pinia'
import { listUsers } from '@/api/users'
import { collection } from './collection'

/** Everybody who has a login. For admins. */
export const usePeople = defineStore('people', () => {
  const list = collection(listUsers)
  return { ...list, nameOf: (id: string) => list.get(id)?.name ?? '' }
})
