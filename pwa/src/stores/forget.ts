import { watch } from 'vue'
import { useAccount } from './account'

/** Has a store forget what it knows when nobody is signed in any more: the next person must not see it. */
export function whenLeft(forget: () => void): void {
  const account = useAccount()
  watch(
    () => account.state,
    (state) => {
      if (state === 'out') forget()
    },
    { flush: 'sync' },
  )
}
