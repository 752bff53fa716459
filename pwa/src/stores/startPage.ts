import { defineStore } from 'pinia'
import { ref } from 'vue'
import { local } from './local'

/** The pages that the app may start with, and how Settings calls them. */
export const startPages = {
  '/': 'home',
  '/services': 'services',
  '/invitations': 'invite',
  '/devices': 'devices',
  '/history': 'history',
} as const
export type StartPage = keyof typeof startPages

const storageKey = 'ownline.start'

function stored(): StartPage {
  const value = local.get(storageKey)
  return value !== null && value in startPages ? (value as StartPage) : '/'
}

/** Where the app begins when it is launched without a page in mind. */
export const useStartPage = defineStore('startPage', () => {
  const path = ref<StartPage>(stored())

  function choose(page: StartPage): void {
    path.value = page
    local.set(storageKey, page)
  }

  return { path, choose }
})
