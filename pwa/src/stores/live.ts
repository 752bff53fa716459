import { defineStore } from 'pinia'
import { ref } from 'vue'
import { listen } from '@/api/events'
import { useAccount } from './account'
import { useAddress } from './address'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

/** After this long without a stream people are told that what they see may be old. */
const patience = 10_000
/** A hidden page keeps its stream this long. */
const hiddenFor = 60_000
const longestWait = 30_000

/**
 * Keeps the stores in step with the server: everything is fetched, then events change it. A short
 * cut is mended by the browser, which names the last event it saw; after a long one, or when the
 * server no longer knows that event, everything is fetched again.
 */
export const useLive = defineStore('live', () => {
  const account = useAccount()
  const address = useAddress()
  const services = useServices()
  const sessions = useSessions()
  const sites = useSites()

  const paused = ref(false)
  const offline = ref(!navigator.onLine)
  let running = false
  let attempt = 0
  /** Events have been arriving since everything was last fetched. */
  let following = false
  let first = true
  let stop: (() => void) | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  let worry: ReturnType<typeof setTimeout> | undefined
  let hide: ReturnType<typeof setTimeout> | undefined

  async function refresh(): Promise<void> {
    await Promise.all([address.load(), sites.load(), services.load(), sessions.load()])
  }

  function connect(): void {
    disconnect()
    stop = listen({
      session: sessions.apply,
      site: sites.follow,
      // What a change of rights or services means for this user, only the server knows.
      service: () => void services.load(),
      grant: () => void Promise.all([services.load(), sites.load()]),
      reset: () => void refresh(),
      opened,
      cut,
    })
  }

  function opened(): void {
    clearTimeout(worry)
    worry = undefined
    paused.value = false
    attempt = 0
    if (following) return
    // Between the fetch and this stream something may have happened; right after the start that
    // can only be what changes by itself.
    void (first ? Promise.all([sessions.load(), sites.load()]) : refresh())
    following = true
    first = false
  }

  function cut(final: boolean): void {
    worry ??= setTimeout(() => (paused.value = true), patience)
    if (!final) return
    disconnect()
    const wait = Math.min(longestWait, 1000 * 2 ** attempt++)
    retry = setTimeout(() => void reconnect(), wait * (0.5 + Math.random() / 2))
  }

  async function reconnect(): Promise<void> {
    await account.load()
    if (running && account.state === 'in') connect()
  }

  function disconnect(): void {
    clearTimeout(retry)
    stop?.()
    stop = undefined
    following = false
  }

  function onVisibility(): void {
    clearTimeout(hide)
    if (document.hidden) hide = setTimeout(disconnect, hiddenFor)
    else if (!stop) connect()
  }

  function onOnline(): void {
    offline.value = !navigator.onLine
    if (offline.value) return
    attempt = 0
    connect()
  }

  /** Fetches everything and follows it from then on. */
  function start(): void {
    if (running) return
    running = true
    first = true
    void refresh()
    connect()
    document.addEventListener('visibilitychange', onVisibility)
    window.addEventListener('online', onOnline)
    window.addEventListener('offline', onOnline)
  }

  /** Stops following, and forgets what was known: the next person must not see it. */
  function end(): void {
    running = false
    disconnect()
    clearTimeout(worry)
    clearTimeout(hide)
    worry = undefined
    paused.value = false
    document.removeEventListener('visibilitychange', onVisibility)
    window.removeEventListener('online', onOnline)
    window.removeEventListener('offline', onOnline)
    for (const store of [address, services, sessions, sites]) store.clear()
  }

  return { paused, offline, refresh, start, end }
})
