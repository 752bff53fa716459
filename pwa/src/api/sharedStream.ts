import { openStream, type Told } from './stream'

const name = 'ownline.events'
/** After this long without a word the tab that leads is taken for dead, in milliseconds. */
const patience = 2_000

/** What tabs say to each other: what the stream of one told, or whether there is one. */
type Message = { from: string; told?: Told } | { ask: true }

/**
 * One stream for all tabs of a browser, which keeps but six connections to a server: the tab that
 * holds a lock has the stream and passes on what it tells. When it goes, the next in line opens
 * its own, and all are told that something may have been missed in between.
 */
export function sharedStream(tell: (told: Told) => void): () => void {
  // There are no locks without TLS.
  if (!navigator.locks) return openStream(tell)

  const channel = new BroadcastChannel(name)
  let over = false
  let waiting: AbortController | undefined
  /** Ends this tab's turn, while it leads. */
  let resign: (() => void) | undefined
  /** The stream that was open last, wherever that was. */
  let last: string | undefined
  let silence: ReturnType<typeof setTimeout> | undefined

  function say(message: Message): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
    channel.postMessage(message)
  }

  function hear(from: string, told: Told): void {
    const other = told.kind === 'opened' && last !== undefined && last !== from
    if (told.kind === 'opened') last = from
    tell(told)
    if (other && !over) tell({ kind: 'reset' })
  }

  /** Has the stream until it resigns. */
  function lead(): Promise<void> {
    clearTimeout(silence)
    if (over) return Promise.resolve()
    const from = crypto.randomUUID()
    let open = false
    const close = openStream((told) => {
      if (told.kind === 'opened') open = true
      if (told.kind === 'cut') open = false
      say({ from, told })
      hear(from, told)
    })
    const answer = ({ data }: MessageEvent<Message>): void => {
      if (!('ask' in data)) return
      say({ from, ...(open && { told: { kind: 'opened' } }) })
    }
    channel.addEventListener('message', answer)
    return new Promise((resolve) => {
      resign = () => {
        resign = undefined
        close()
        channel.removeEventListener('message', answer)
        resolve()
      }
    })
  }

  /** Waits for its turn, or takes it from a tab that sleeps. */
  async function queue(steal = false): Promise<void> {
    waiting?.abort()
    const mine = new AbortController()
    waiting = mine
    try {
      await navigator.locks.request(name, steal ? { steal } : { signal: mine.signal }, lead)
    } catch {
      // It no longer waits, or the browser gives no locks here: to ask again at once would go on for ever.
      if (mine.signal.aborted || !resign) return
      // Another tab took the turn.
      resign()
      void queue()
    }
  }

  /** Asks for the tab that leads, which a phone may have put to sleep. */
  function ask(): void {
    if (resign || document.hidden) return
    say({ ask: true })
    clearTimeout(silence)
    silence = setTimeout(() => void queue(true), patience)
  }

  channel.addEventListener('message', ({ data }: MessageEvent<Message>) => {
    if ('ask' in data || over) return
    clearTimeout(silence)
    if (data.told) hear(data.from, data.told)
  })
  document.addEventListener('visibilitychange', ask)
  void queue()
  ask()

  return () => {
    over = true
    waiting?.abort()
    clearTimeout(silence)
    document.removeEventListener('visibilitychange', ask)
    resign?.()
    channel.close()
  }
}
