import { defineStore } from 'pinia'
import * as api from '@/api/logins'
import { collection } from './collection'

/** The browsers in which one is signed in, the newest first. */
export const useLogins = defineStore('logins', () => {
  const list = collection(api.listLogins)

  /** Signs a browser out; throws a Problem, and has it in the list again, if that fails. */
  async function end(login: api.Login): Promise<void> {
    const takeBack = list.guess(undefined, login.id)
    try {
      await api.endLogin(login.id)
    } catch (error) {
      takeBack()
      throw error
    }
  }

  /** Signs out everywhere but here. */
  async function endOthers(): Promise<void> {
    await api.endOtherLogins()
    await list.load()
  }

  return { ...list, end, endOthers }
})
