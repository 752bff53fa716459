import { onUnmounted, watch } from 'vue'
import { useRouter } from 'vue-router'
import type { Changes } from '@/api/events'
import type { Session } from '@/api/sessions'
import { useMessages } from '@/messages'
import { sourceText } from '@/messages/format'
import { partsOf } from './acts'
import { useAccount } from './account'
import { useAlerts } from './alerts'
import { useClock } from './clock'
import { useFollowing } from './live'
import { useSessions } from './sessions'
import { useSites } from './sites'

const soon = 5 * 60_000
/** An opening that is told this much later, after a cut, is no news. */
const stale = 60_000

/** Tells what happens while the page is hidden, as far as this browser was told to. */
export function useTelling(): void {
  const account = useAccount()
  const alerts = useAlerts()
  const clock = useClock()
  const router = useRouter()
  const sessions = useSessions()
  const sites = useSites()
  const t = useMessages()
  const told = new Set<string>()
  const reachable = new Map<string, boolean>()
  const timers = new Map<string, ReturnType<typeof setTimeout>>()

  const isFresh = (session: Session) => clock.read() - Date.parse(session.opened) < stale

  function opened(session: Changes['session']): void {
    if (session.state !== 'active' || !sessions.isMine(session) || told.has(session.id)) return
    told.add(session.id)
    // Of an act one is told.
    const act = sessions.find(session.id)
    const known = act && partsOf(act).some((one) => one.id !== session.id && told.has(one.id) && isFresh(one))
    if (!isFresh(session) || known) return
    const words = t.value.alert
    const path = `/sessions/${session.id}`
    if (session.guest) void alerts.tell('guest', words.guest(session.service_name), path)
    else {
      const text = words.opened(session.service_name, sourceText(session.source))
      void alerts.tell('opened', text, path)
    }
  }

  /** A hidden page has no beat of its own: each session gets a timer. */
  function endsSoon(): void {
    for (const timer of timers.values()) clearTimeout(timer)
    timers.clear()
    for (const session of sessions.live) {
      const wait = Date.parse(session.expires) - soon - clock.read()
      if (!sessions.isMine(session) || wait <= 0 || wait > 2 ** 31 - 1) continue
      const tell = (): void => {
        const text = t.value.alert.endsSoon(session.service_name)
        void alerts.tell('endsSoon', text, `/sessions/${session.id}`)
      }
      timers.set(session.id, setTimeout(tell, wait))
    }
  }

  function site(change: Changes['site']): void {
    const was = reachable.get(change.id)
    reachable.set(change.id, change.connected)
    if (was === undefined || was === change.connected || change.removed) return
    const words = t.value.alert
    const text = change.connected ? words.siteUp(change.name) : words.siteDown(change.name)
    void alerts.tell('siteDown', text, '/')
  }

  function refused(change: Changes['refusal']): void {
    if (change.user !== account.me?.id || change.device === undefined) return
    void alerts.tell('refused', t.value.alert.refused(change.device_name ?? ''), `/devices/${change.device}`)
  }

  /** Of oneself by another browser: what this page is signed in by was there before its stream. */
  function signedIn(change: Changes['login']): void {
    if (change.user !== account.me?.id) return
    void alerts.tell('signIn', t.value.alert.signIn(change.address ?? ''), '/settings/sign-in')
  }

  watch(() => sessions.live.map(({ id, expires }) => `${id} ${expires}`).join(), endsSoon, { immediate: true })
  watch(
    () => sites.all,
    (all) => {
      for (const one of all) if (!reachable.has(one.id)) reachable.set(one.id, one.connected)
    },
    { immediate: true },
  )
  useFollowing({ session: opened, site, refusal: refused, login: signedIn })

  /** The service worker was told to show a page. */
  function open(event: MessageEvent<{ open?: string }>): void {
    if (event.data?.open) void router.push(event.data.open)
  }
  navigator.serviceWorker?.addEventListener('message', open)
  onUnmounted(() => {
    navigator.serviceWorker?.removeEventListener('message', open)
    for (const timer of timers.values()) clearTimeout(timer)
  })
}
