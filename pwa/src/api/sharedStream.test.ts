import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sharedStream } from './sharedStream'
import { openStream, type Told } from './stream'

vi.mock('./stream')

/** The locks of a browser, as far as one name goes. */
class Locks {
  private holder: { lose: (why: Error) => void } | undefined
  private readonly line: (() => void)[] = []

  private leave(who: { lose: (why: Error) => void }, done: () => void): void {
    done()
    if (this.holder !== who) return
    this.holder = undefined
    this.line.shift()?.()
  }

  request(_: string, options: LockOptions, use: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = (): void => {
        const me = { lose: reject }
        this.holder = me
        void use().then(() => this.leave(me, resolve))
      }
      if (options.steal) {
        this.holder?.lose(new Error('stolen'))
        return take()
      }
      if (!this.holder) return take()
      this.line.push(take)
      options.signal?.addEventListener('abort', () => {
        const place = this.line.indexOf(take)
        if (place >= 0) this.line.splice(place, 1)
        reject(new Error('aborted'))
      })
    })
  }
}

/** The streams that are open: what they tell is said by the test. */
let streams: ((told: Told) => void)[]
const ends: (() => void)[] = []

function tab() {
  const heard: Told[] = []
  const close = sharedStream((told) => heard.push(told))
  ends.push(close)
  const take = () => heard.splice(0)
  return { take, close }
}

/** Lets tabs hear each other, and answer. */
const settle = () => vi.advanceTimersByTimeAsync(1)

beforeEach(() => {
  vi.useFakeTimers()
  streams = []
  vi.mocked(openStream).mockImplementation((tell) => {
    streams.push(tell)
    return () => void streams.splice(streams.indexOf(tell), 1)
  })
  vi.stubGlobal('BroadcastChannel', Channel)
  vi.spyOn(navigator, 'locks', 'get').mockReturnValue(new Locks() as unknown as LockManager)
})
afterEach(() => {
  for (const end of ends.splice(0)) end()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

/** Says what it is told to all others of its kind, a moment later. */
class Channel extends EventTarget {
  static readonly all = new Set<Channel>()
  constructor() {
    super()
    Channel.all.add(this)
  }
  postMessage(data: unknown): void {
    for (const other of Channel.all) {
      if (other !== this) setTimeout(() => other.dispatchEvent(new MessageEvent('message', { data })))
    }
  }
  close(): void {
    Channel.all.delete(this)
  }
}

const change: Told = { kind: 'change', of: 'session', value: { id: '1' } }

describe('the stream of a browser', () => {
  it('is one for all tabs, and each hears what it tells', async () => {
    const [first, second] = [tab(), tab()]
    await settle()
    expect(streams).toHaveLength(1)
    for (const told of [{ kind: 'opened' }, change, { kind: 'cut', final: false }] as Told[]) streams[0]?.(told)
    await settle()
    const all = [{ kind: 'opened' }, change, { kind: 'cut', final: false }]
    expect(first.take()).toEqual(all)
    expect(second.take()).toEqual(all)
  })

  it('is open already for a tab that comes later', async () => {
    tab()
    streams[0]?.({ kind: 'opened' })
    const late = tab()
    await settle()
    expect(late.take()).toEqual([{ kind: 'opened' }])
    streams[0]?.({ kind: 'cut', final: false })
    const later = tab()
    await settle()
    expect(later.take()).toEqual([])
  })

  it('goes on in another tab, where nobody knows what was missed', async () => {
    const [first, second, third] = [tab(), tab(), tab()]
    streams[0]?.({ kind: 'opened' })
    await settle()
    for (const one of [second, third]) one.take()
    first.close()
    await settle()
    expect(streams).toHaveLength(1)
    streams[0]?.({ kind: 'opened' })
    await settle()
    for (const one of [second, third]) expect(one.take()).toEqual([{ kind: 'opened' }, { kind: 'reset' }])
    first.take()
    streams[0]?.(change)
    await settle()
    expect(first.take()).toEqual([])
  })

  it('is taken from a tab that sleeps, and given back to nobody', async () => {
    const sleeper = tab()
    streams[0]?.({ kind: 'opened' })
    await settle()
    // It holds its lock, and says nothing.
    const [asleep] = Channel.all
    if (asleep) Channel.all.delete(asleep)
    const awake = tab()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(streams).toHaveLength(1)
    streams[0]?.({ kind: 'opened' })
    expect(awake.take()).toEqual([{ kind: 'opened' }])
    sleeper.close()
    await settle()
    expect(streams).toHaveLength(1)
  })

  it('is not taken from a tab whose stream has yet to open', async () => {
    tab()
    tab()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(openStream).toHaveBeenCalledTimes(1)
  })

  it('is looked for again by a tab that comes back into sight', async () => {
    tab()
    const second = tab()
    await settle()
    for (const one of Channel.all) {
      Channel.all.delete(one)
      break
    }
    document.dispatchEvent(new Event('visibilitychange'))
    await vi.advanceTimersByTimeAsync(2_000)
    streams.at(-1)?.({ kind: 'opened' })
    expect(second.take()).toEqual([{ kind: 'opened' }])
  })

  it('is not asked for again and again where a browser gives no locks', async () => {
    const request = vi.fn<() => Promise<void>>(() => Promise.reject(new Error('denied')))
    vi.spyOn(navigator, 'locks', 'get').mockReturnValue({ request } as unknown as LockManager)
    tab()
    await settle()
    expect(request).toHaveBeenCalledTimes(1)
  })

  it("is each tab's own where there are no locks", () => {
    vi.spyOn(navigator, 'locks', 'get').mockReturnValue(undefined as unknown as LockManager)
    tab()
    tab()
    expect(streams).toHaveLength(2)
  })
})
