import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { local } from './local'

const storageKey = 'ownline.install'
const day = 86_400_000
/** People are asked once they have opened so many sessions, and again after so long. */
const enough = 2
const pause = 60 * day
const mostAsked = 2

interface Memory {
  opened: number
  /** How often "Not now" was said, and when last, in Unix milliseconds. */
  declined: number
  last: number
}

/** Chromium's, which TypeScript does not know. */
interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: 'accepted' | 'dismissed' }>
}

function remembered(): Memory {
  const nothing = { opened: 0, declined: 0, last: 0 }
  try {
    return { ...nothing, ...(JSON.parse(local.get(storageKey) ?? '{}') as Partial<Memory>) }
  } catch {
    return nothing
  }
}

function isInstalled(): boolean {
  return matchMedia('(display-mode: standalone)').matches || (navigator as { standalone?: boolean }).standalone === true
}

/** Whether to offer the app for the home screen: never at first sight, and not for ever. */
export const useInstall = defineStore('install', () => {
  const memory = ref(remembered())
  const prompt = shallowRef<InstallPrompt>()
  const installed = ref(isInstalled())
  /** The browser has no prompt of its own, but its share menu can do it. */
  const byHand = 'standalone' in navigator

  const offered = computed(
    () =>
      !installed.value &&
      (prompt.value !== undefined || byHand) &&
      memory.value.opened >= enough &&
      memory.value.declined < mostAsked &&
      (memory.value.declined === 0 || Date.now() - memory.value.last > pause),
  )

  /** The browser can be asked to install it now. */
  const ready = computed(() => prompt.value !== undefined)

  function change(next: Partial<Memory>): void {
    memory.value = { ...memory.value, ...next }
    local.set(storageKey, JSON.stringify(memory.value))
  }

  /** Has to be called before the browser offers it, which is soon after the start. */
  function start(): void {
    window.addEventListener('beforeinstallprompt', (event) => {
      event.preventDefault()
      prompt.value = event as InstallPrompt
    })
    window.addEventListener('appinstalled', () => (installed.value = true))
  }

  /** Counts a session that was opened here. */
  function sessionOpened(): void {
    if (memory.value.opened < enough) change({ opened: memory.value.opened + 1 })
  }

  function decline(): void {
    change({ declined: memory.value.declined + 1, last: Date.now() })
  }

  async function install(): Promise<void> {
    const asked = prompt.value
    prompt.value = undefined // it is good for once
    const answer = await asked?.prompt()
    if (answer?.outcome === 'dismissed') decline()
  }

  return { offered, ready, installed, byHand, start, sessionOpened, decline, install }
})
