import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import { useAccount } from './account'
import { local } from './local'

export interface Choice {
  seconds?: number | undefined
  port?: number | undefined
  /** How often the person has opened the service in this browser. */
  used: number
}

const storageKey = 'ownline.choices'

interface Kept {
  user: string
  services: Record<string, Choice>
}

function read(): Kept | undefined {
  try {
    return JSON.parse(local.get(storageKey) ?? '') as Kept
  } catch {
    return undefined
  }
}

/** What the person chose for each service the last time; kept in this browser. */
export const useChoices = defineStore('choices', () => {
  const account = useAccount()
  const kept = shallowRef(read())
  /** Of the person signed in: another one's are not theirs. */
  const mine = computed(() => (kept.value?.user === account.me?.id ? kept.value?.services : undefined))

  function of(service: string): Choice {
    return mine.value?.[service] ?? { used: 0 }
  }

  function keep(service: string, change: Partial<Choice>): void {
    const user = account.me?.id
    if (!user) return
    kept.value = { user, services: { ...mine.value, [service]: { ...of(service), ...change } } }
    local.set(storageKey, JSON.stringify(kept.value))
  }

  return { of, keep }
})
