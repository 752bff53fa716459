import { defineStore } from 'pinia'
import { listPeople } from '@/api/history'
import { collection } from './collection'

/** Everybody who has a login. For admins. */
export const usePeople = defineStore('people', () => {
  const list = collection(listPeople)
  return { ...list, nameOf: (id: string) => list.get(id)?.name ?? '' }
})
