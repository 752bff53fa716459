import { defineStore } from 'pinia'
import { computed, nextTick, ref } from 'vue'
import { local } from './local'

/** What this browser can tell while the page is hidden. */
export const alertKinds = ['opened', 'endsSoon', 'refused', 'signIn', 'guest', 'siteDown'] as const
export type AlertKind = (typeof alertKinds)[number]

/** unsupported: the browser knows no notifications. */
export type Permission = NotificationPermission | 'unsupported'

const storageKey = 'ownline.alerts'

function stored(): AlertKind[] {
  const chosen = (local.get(storageKey) ?? '').split(' ')
  return alertKinds.filter((kind) => chosen.includes(kind))
}

function allowed(): Permission {
  return 'Notification' in window ? Notification.permission : 'unsupported'
}

/** Notifications of this browser: which are wanted, and whether they are allowed. */
export const useAlerts = defineStore('alerts', () => {
  const chosen = ref<AlertKind[]>(stored())
  const permission = ref<Permission>(allowed())
  /** One that is being switched on, which the browser may refuse. */
  const asked = ref<AlertKind>()
  /** Those that are wanted, and may be shown. */
  const on = computed(() => (permission.value === 'granted' ? chosen.value : alertKinds.filter((kind) => kind === asked.value)))

  /** Switches a kind; only then, and only where nobody has answered yet, the browser asks. */
  async function choose(kind: AlertKind, wanted: boolean): Promise<void> {
    if (wanted && permission.value !== 'granted') {
      asked.value = kind
      if (permission.value === 'default') permission.value = await Notification.requestPermission()
      await nextTick() // the switch has to be drawn as on before it can be drawn as off again
      asked.value = undefined
      if (permission.value !== 'granted') return
    }
    chosen.value = alertKinds.filter((one) => (one === kind ? wanted : chosen.value.includes(one)))
    if (chosen.value.length > 0) local.set(storageKey, chosen.value.join(' '))
    else local.remove(storageKey)
  }

  /** Shows a notification that leads to a page; nothing while somebody looks at this one. */
  async function tell(kind: AlertKind, text: string, path: string): Promise<void> {
    if (!document.hidden || !on.value.includes(kind)) return
    const options = { body: text, tag: `${kind} ${path}`, data: { path }, icon: '/icon-192.png' }
    const worker = await navigator.serviceWorker?.getRegistration()
    // Phones show none but those of a service worker, which also opens the page.
    if (worker?.active) return worker.showNotification('Ownline', options)
    const shown = new Notification('Ownline', options)
    shown.addEventListener('click', () => {
      window.focus()
      location.assign(path)
    })
  }

  return { chosen, permission, on, choose, tell }
})
