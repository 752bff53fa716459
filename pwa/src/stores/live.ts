import { defineStore } from 'pinia'
import { nextTick, onMounted, onUnmounted, ref, watch } from 'vue'
import { type Changes, listen } from '@/api/events'
import { useAccount } from './account'
import { useAddress } from './address'
import { useAlerts } from './alerts'
import { useGrants } from './grants'
import { useOffline } from './offline'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

/** After this long without a stream people are told that what they see may be old. */
const patience = 10_000
/** After this long it is asked whether the server is there at all: most cuts are mended by then. */
const doubt = 2_000
/** A hidden page keeps its stream this long. */
const hiddenFor = 60_000
const longestWait = 30_000
/** At the start, what changes by itself is fetched behind the stream, or after this long. */
const streamSoon = 300

type Followed = { [Kind in keyof Changes]?: (change: Changes[Kind]) => void }

/** What a page follows besides what everybody does; reset: fetch what is shown again. */
type Follower = Followed & { reset?: () => void }

/**
 * Keeps the stores in step with the server: everything is fetched, then events change it. A short
 * cut is mended by the browser, which names the last event it saw; after a long one, or when the
 * server no longer knows that event, everything is fetched again.
 */
export const useLive = defineStore('live', () => {
  const account = useAccount()
  const address = useAddress()
  const grants = useGrants()
  const alerts = useAlerts()
  const offline = useOffline()
  const services = useServices()
  const sessions = useSessions()
  const sites = useSites()

  const paused = ref(false)
  const followers = new Set<Follower>()
  let running = false
  let attempt = 0
  /** Events have been arriving since everything was last fetched. */
  let following = false
  let first = true
  let stop: (() => void) | undefined
  let soon: ReturnType<typeof setTimeout> | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  let worry: ReturnType<typeof setTimeout> | undefined
  let hide: ReturnType<typeof setTimeout> | undefined

  async function fetchAll(): Promise<void> {
    for (const follower of followers) follower.reset?.()
    await Promise.all([address.load(), sites.load(), services.load(), grants.load(), sessions.load()])
  }

  async function refresh(): Promise<void> {
    await Promise.all([account.load(), fetchAll()])
  }

  /** An admin has changed who they are: whoever lost a page is off it before it would be fetched again. */
  async function review(): Promise<void> {
    await account.load()
    await nextTick()
    await fetchAll()
  }

  /** Fetches again what changes by itself. */
  async function refreshChanging(): Promise<void> {
    await Promise.all([sites.load(), sessions.load()])
  }

  /** Something of what is fetched at the start did not come. */
  function lacks(): boolean {
    return [address, services, grants].some(({ problem }) => problem)
  }

  function connect(): void {
    disconnect()
    stop = listen({
      session: (change) => {
        sessions.apply(change)
        tell('session', change)
      },
      site: (change) => {
        sites.follow(change)
        tell('site', change)
      },
      // What a change of rights or services means for this user, only the server knows.
      service: (change) => {
        void services.load()
        tell('service', change)
      },
      grant: (change) => {
        void Promise.all([services.load(), sites.load(), grants.load()])
        tell('grant', change)
      },
      device: (change) => tell('device', change),
      invitation: (change) => tell('invitation', change),
      user: (change) => {
        if (change.id === account.me?.id) void review()
        tell('user', change)
      },
      channel: (change) => tell('channel', change),
      login: (change) => tell('login', change),
      refusal: (change) => tell('refusal', change),
      reset: () => void refresh(),
      // Who has signed in again since, in another tab, goes on by the stream that follows.
      ended: (why) => void (why ? account.shut(why) : account.load()),
      opened,
      cut,
    })
  }

  function tell<Kind extends keyof Changes>(kind: Kind, change: Changes[Kind]): void {
    for (const follower of followers) {
      const followed: Followed = follower
      followed[kind]?.(change)
    }
  }

  /** Has a page told of changes until the returned function is called. */
  function follow(follower: Follower): () => void {
    followers.add(follower)
    return () => void followers.delete(follower)
  }

  function opened(): void {
    clearTimeout(worry)
    worry = undefined
    paused.value = false
    attempt = 0
    // Whatever found nobody may be tried again.
    sessions.forgive()
    if (account.state === 'away' || account.unanswered) void account.load()
    if (following) {
      // A cut that the browser mended may come from another network.
      void address.load()
      return
    }
    // What happened before this stream nobody told. Right after the start the rest is fresh, if it came.
    clearTimeout(soon)
    void (first && !lacks() ? refreshChanging() : refresh())
    following = true
    first = false
  }

  function cut(final: boolean): void {
    worry ??= setTimeout(doubted, doubt)
    if (!final) return
    disconnect()
    const wait = Math.min(longestWait, 1000 * 2 ** attempt++)
    retry = setTimeout(() => void reconnect(), wait * (0.5 + Math.random() / 2))
  }

  function doubted(): void {
    worry = setTimeout(worried, patience - doubt)
    void account.load()
  }

  /** Updates fail to come: whether nobody answers at all says the next question. */
  function worried(): void {
    paused.value = true
    void account.load()
  }

  /** Asks whether the server answers now, and if so goes on. */
  async function reconnect(): Promise<void> {
    clearTimeout(retry)
    await account.load()
    if (!running) return
    if (account.state === 'in') connect()
    // Nobody answers: then the stream is not worth a try, but the next question is.
    else if (account.state === 'away') cut(true)
  }

  function disconnect(): void {
    clearTimeout(retry)
    stop?.()
    stop = undefined
    following = false
  }

  function onVisibility(): void {
    clearTimeout(hide)
    if (!document.hidden) {
      if (!stop) connect()
    } else if (alerts.on.length === 0) {
      // Whoever wants to be told while it is hidden keeps it.
      hide = setTimeout(disconnect, hiddenFor)
    }
  }

  /** Told that the server can be reached now: does not wait for the next try. */
  function hurry(): void {
    if (!running) return
    attempt = 0
    connect()
  }

  /** Fetches what does not change by itself; once more if that failed only after the stream was there. */
  async function begin(): Promise<void> {
    await Promise.all([address.load(), services.load(), grants.load()])
    if (following && lacks()) await refresh()
  }

  /** Fetches everything and follows it from then on. */
  function start(): void {
    if (running) return
    running = true
    first = true
    void begin()
    connect()
    soon = setTimeout(() => void refreshChanging(), streamSoon)
    document.addEventListener('visibilitychange', onVisibility)
  }

  /** Stops following. What is known stays for who signs in again; the stores keep it from anybody else. */
  function rest(): void {
    running = false
    disconnect()
    clearTimeout(soon)
    clearTimeout(worry)
    clearTimeout(hide)
    worry = undefined
    paused.value = false
    document.removeEventListener('visibilitychange', onVisibility)
  }

  watch(
    () => account.me?.id,
    (id, before) => {
      // Somebody else is in by another tab: what was on its way was of the one before, and is gone.
      if (running && id && before) void fetchAll()
    },
  )
  watch(
    () => account.state === 'away' || (paused.value && account.unanswered),
    (is) => (offline.away = is),
    { flush: 'sync', immediate: true },
  )
  watch(
    () => offline.is,
    (is) => {
      if (!is) hurry()
    },
  )

  return { paused, refresh, follow, hurry, reconnect, start, rest }
})

/** Has the component told of changes while it is mounted. */
export function useFollowing(follower: Follower): void {
  const live = useLive()
  let stop: (() => void) | undefined
  onMounted(() => (stop = live.follow(follower)))
  onUnmounted(() => stop?.())
}
