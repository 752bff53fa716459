import { defineStore } from 'pinia'
import { listGrants, setAutomatic } from '@/api/grants'
import { useAccount } from './account'
import { collection } from './collection'

/** What the person signed in may use, and under which limits. */
export const useGrants = defineStore('grants', () => {
  const account = useAccount()
  const list = collection(() => listGrants(account.me?.id))

  /** The grant for a service; an admin may use a service without one. */
  function of(service: string) {
    return list.all.value.find((grant) => grant.service === service)
  }

  /** Throws a Problem, with all as before, when it is refused. */
  async function automatic(service: string, on: boolean): Promise<void> {
    const grant = of(service)
    if (!grant) return
    const takeBack = list.guess({ ...grant, automatic: on }, grant.id)
    try {
      list.put(await setAutomatic(grant.id, on))
    } catch (error) {
      takeBack()
      throw error
    }
  }

  return { ...list, of, automatic }
})
