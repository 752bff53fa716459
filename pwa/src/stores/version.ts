import { defineStore } from 'pinia'
import { watch } from 'vue'
import { useLanguage } from '@/messages'
import { useNotices } from './notices'

const script = '/sw.js'
const hour = 3_600_000

/** What TypeScript does not know yet of trusted types. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): { createScriptURL: (url: string) => string }
}

/** The address of the service worker, as the content policy wants it: of a policy of its own. */
function workerURL(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  const policy = trustedTypes?.createPolicy('ownline-sw', {
    createScriptURL(url) {
      if (url !== script) throw new TypeError('not our service worker')
      return url
    },
  })
  return policy?.createScriptURL(script) ?? script
}

/**
 * Keeps the app on this device, by the service worker, and tells when a newer one is there. It
 * waits until it is asked for: a page is never loaded again by itself.
 */
export const useVersion = defineStore('version', () => {
  const language = useLanguage()
  const notices = useNotices()
  let reloading = false
  let shown: number | undefined

  function reload(waiting: ServiceWorker | null): void {
    reloading = true
    if (waiting?.state === 'installed') waiting.postMessage('take over', [])
    else location.reload()
  }

  function tell(waiting: ServiceWorker | null): void {
    if (shown !== undefined) notices.dismiss(shown)
    const action = { label: language.t.app.reload, run: () => reload(waiting) }
    shown = notices.show(language.t.app.newVersion, [action], { stays: true })
  }

  function follow(registration: ServiceWorkerRegistration): void {
    const { serviceWorker } = navigator
    if (registration.waiting && serviceWorker.controller) tell(registration.waiting)
    registration.addEventListener('updatefound', () => {
      const { installing } = registration
      installing?.addEventListener('statechange', () => {
        // Without a controller it is the first, and there is nothing older on the page.
        if (installing.state === 'installed' && serviceWorker.controller) tell(installing)
      })
    })
    // Taken over: by this page, or by another one, which must not take the ground from under a form.
    let had = serviceWorker.controller !== null
    serviceWorker.addEventListener('controllerchange', () => {
      if (reloading) location.reload()
      else if (had) tell(null)
      had = true
    })
    const check = (): void => {
      if (!document.hidden) registration.update().catch(() => {}) // offline, say
    }
    document.addEventListener('visibilitychange', check)
    setInterval(check, hour)
  }

  /** Never fails: without a service worker the app is not there offline. */
  async function start(): Promise<void> {
    if (!('serviceWorker' in navigator)) return
    // What it fetches must not keep the first page waiting.
    if (document.readyState !== 'complete') {
      await new Promise((resolve) => window.addEventListener('load', resolve, { once: true }))
    }
    try {
      // Where workers are blocked this may resolve to nothing.
      const registration = (await navigator.serviceWorker.register(workerURL(), {
        updateViaCache: 'none',
      })) as ServiceWorkerRegistration | undefined
      if (registration) follow(registration)
    } catch {
      // Not allowed here, or the server can't be reached.
    }
  }

  // The words follow the language while they stand there.
  watch(
    () => language.name,
    () => {
      if (shown !== undefined && notices.shown.some((notice) => notice.id === shown)) tell(null)
    },
  )

  return { start }
})
