import { watch } from 'vue'
import { useAccount } from './account'

/**
 * Has a store forget what it knows of somebody once they are signed out, or somebody else is in: the next person
 * must not see it. Whoever signs in again finds all as it was.
 */
export function whenLeft(forget: () => void): void {
  const account = useAccount()
  watch(
    () => account.me?.id,
    (_, before) => {
      if (before !== undefined) forget()
    },
    { flush: 'sync' },
  )
}

/** The same for what only admins may know: it goes, too, once they are none any more. */
export function whenNoAdmin(forget: () => void): void {
  const account = useAccount()
  whenLeft(forget)
  watch(
    () => account.isAdmin,
    (is) => {
      if (!is) forget()
    },
    { flush: 'sync' },
  )
}
