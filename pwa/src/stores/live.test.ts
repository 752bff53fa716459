import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick, watch } from 'vue'
import * as events from '@/api/events'
import { listGrants } from '@/api/grants'
import { listServices } from '@/api/services'
import { Problem } from '@/api/problem'
import { listLive } from '@/api/sessions'
import { listSites } from '@/api/sites'
import { me } from '@/api/auth'
import { whoami } from '@/api/whoami'
import { at, noon, sampleMe, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useAddress } from './address'
import { useGrants } from './grants'
import { useLive } from './live'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

vi.mock('@/api/auth')
vi.mock('@/api/events')
vi.mock('@/api/grants')
vi.mock('@/api/services')
vi.mock('@/api/sessions')
vi.mock('@/api/sites')
vi.mock('@/api/whoami')

let stream: events.EventHandlers
const closed = vi.fn<() => void>()

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
  vi.mocked(events.listen).mockImplementation((handlers) => {
    stream = handlers
    return closed
  })
  vi.mocked(listGrants).mockResolvedValue([])
  vi.mocked(listServices).mockResolvedValue([])
  vi.mocked(listSites).mockResolvedValue([])
  vi.mocked(listLive).mockResolvedValue([])
  vi.mocked(me).mockResolvedValue(sampleMe())
  vi.mocked(whoami).mockResolvedValue({ address: '203.0.113.24', family: 4, forwarded: false, kind: 'public' })
  useAccount().me = sampleMe()
})
afterEach(() => {
  useLive().rest()
  vi.useRealTimers()
})

describe('live', () => {
  it('shows what was changed elsewhere', async () => {
    useLive().start()
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    stream.session(sampleSession())
    expect(useSessions().live).toHaveLength(1)
    stream.session({ ...sampleSession(), removed: true })
    expect(useSessions().live).toEqual([])
  })

  it('shows what is open also when there is no stream', async () => {
    vi.mocked(listLive).mockResolvedValue([sampleSession()])
    useLive().start()
    stream.cut(false)
    await vi.advanceTimersByTimeAsync(300)
    expect(useSessions().live).toHaveLength(1)
  })

  it('fetches everything once when the stream is there at once', async () => {
    useLive().start()
    stream.opened()
    await vi.advanceTimersByTimeAsync(1000)
    for (const list of [listLive, listServices, listSites]) expect(list).toHaveBeenCalledTimes(1)
  })

  it('fetches everything again when nobody answered at the start', async () => {
    const away = new Problem(502)
    for (const list of [listLive, listServices, listSites, listGrants]) vi.mocked(list).mockRejectedValueOnce(away)
    vi.mocked(whoami).mockRejectedValueOnce(away)
    useLive().start()
    stream.cut(true)
    await vi.advanceTimersByTimeAsync(1000)
    expect(useAddress().state).toBe('failed')
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    expect(useAddress().state).toBe('ready')
    for (const store of [useGrants(), useServices(), useSessions(), useSites()]) expect(store.fresh).toBe(true)
  })

  it('fetches again what fails at the start behind a stream that is there', async () => {
    let fail: (why: Problem) => void = () => {}
    vi.mocked(whoami).mockReturnValueOnce(new Promise((_, reject) => (fail = reject)))
    useLive().start()
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    fail(new Problem(0))
    await vi.advanceTimersByTimeAsync(0)
    expect(useAddress().state).toBe('ready')
  })

  it('forgets failures to reach the server, and no others, when it is there again', () => {
    const { failures } = useSessions()
    useLive().start()
    failures.set('photos-id', new Problem(502))
    failures.set('nas-id', new Problem(409))
    stream.opened()
    expect([...failures.keys()]).toEqual(['nas-id'])
  })

  it('says after ten seconds that updates are paused, and stops saying so', () => {
    const live = useLive()
    live.start()
    stream.opened()
    stream.cut(false)
    vi.advanceTimersByTime(9_999)
    expect(live.paused).toBe(false)
    vi.advanceTimersByTime(1)
    expect(live.paused).toBe(true)
    stream.opened()
    expect(live.paused).toBe(false)
  })

  it('finds after two seconds without a stream whether the server is there, and asks for no shorter cut', async () => {
    const account = useAccount()
    account.state = 'in'
    useLive().start()
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    vi.mocked(me).mockClear()
    stream.cut(false)
    await vi.advanceTimersByTimeAsync(1_999)
    stream.opened()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(me).not.toHaveBeenCalled()
    vi.mocked(me).mockRejectedValue(new Problem(0))
    stream.cut(false)
    await vi.advanceTimersByTimeAsync(1_000)
    stream.cut(false)
    await vi.advanceTimersByTimeAsync(999)
    expect(account.unanswered).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(account).toMatchObject({ unanswered: true, state: 'in' })
    expect(useLive().paused).toBe(false)
    vi.mocked(me).mockResolvedValue(sampleMe())
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    expect(account.unanswered).toBe(false)
  })

  it('does not wait for ever for a server that swallows the question', async () => {
    const ended = new AbortController()
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(ended.signal)
    vi.mocked(me).mockImplementation((signal) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Problem(0)))))
    const asked = useAccount().load()
    ended.abort()
    await asked
    expect(useAccount().unanswered).toBe(true)
    timeout.mockRestore()
  })

  it('asks at once who is signed in when the sign-in was ended', async () => {
    const account = useAccount()
    useLive().start()
    stream.opened()
    await account.load()
    expect(account.state).toBe('in')
    vi.mocked(me).mockRejectedValue(new Problem(401))
    stream.ended()
    await vi.advanceTimersByTimeAsync(0)
    expect(account.state).toBe('over')
  })

  it('ends at once when an admin has disabled the account, and says so', async () => {
    const account = useAccount()
    await account.load()
    useLive().start()
    stream.opened()
    vi.mocked(me).mockRejectedValueOnce(new Problem(401))
    const states: string[] = []
    watch(() => account.state, (state) => states.push(state), { flush: 'sync' })
    stream.ended('disabled')
    await vi.advanceTimersByTimeAsync(0)
    expect([account.shutBy, account.me]).toEqual(['disabled', undefined])
    expect(states).toEqual(['out']) // and nobody is asked to sign in again before
    await account.load()
    expect(account.shutBy).toBeUndefined()
  })

  it.for([
    ['nobody answers who is in', () => Promise.reject(new Problem(502))],
    ['the server still says that they are in', () => Promise.resolve(sampleMe())],
  ] as const)('ends when an admin has disabled the account, and %s', async ([, answer]) => {
    const account = useAccount()
    await account.load()
    useLive().start()
    vi.mocked(me).mockImplementationOnce(answer)
    stream.ended('removed')
    await vi.advanceTimersByTimeAsync(0)
    expect([account.state, account.shutBy]).toEqual(['out', 'removed'])
  })

  it('goes on with whoever has signed in since in another tab, and fetches what is theirs', async () => {
    const account = useAccount()
    await account.load()
    const live = useLive()
    live.start()
    const reset = vi.fn<() => void>()
    live.follow({ reset })
    stream.opened()
    stream.session(sampleSession())
    await vi.advanceTimersByTimeAsync(0)
    vi.mocked(me).mockResolvedValue(sampleMe({ id: 'bob-id' }))
    stream.ended('disabled')
    await vi.advanceTimersByTimeAsync(0)
    expect([account.state, account.shutBy, account.me?.id]).toEqual(['in', undefined, 'bob-id'])
    expect([useSessions().all, useSessions().state, useServices().state]).toEqual([[], 'ready', 'ready'])
    expect(reset).toHaveBeenCalledTimes(1)
  })

  it('knows at once that somebody became an admin, or is none any more', async () => {
    const account = useAccount()
    await account.load()
    useLive().start()
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    const user = { id: sampleMe().id, name: 'ana', role: 'admin', created: at(0), disabled: false, must_change_password: false } as const
    vi.mocked(me).mockResolvedValue(sampleMe({ role: 'admin' }))
    stream.user({ ...user, id: 'somebody-else' })
    await vi.advanceTimersByTimeAsync(0)
    expect(account.isAdmin).toBe(false)
    for (const call of [listSites, me]) vi.mocked(call).mockClear()
    stream.user(user)
    await vi.advanceTimersByTimeAsync(0)
    expect(account.isAdmin).toBe(true)
    for (const call of [listSites, me]) expect(call).toHaveBeenCalledTimes(1)
  })

  it('finds out by and by that nobody answers, and that somebody does again', async () => {
    const account = useAccount()
    useLive().start()
    stream.opened()
    await account.load()
    stream.cut(false)
    await vi.advanceTimersByTimeAsync(5_000)
    vi.mocked(me).mockRejectedValue(new Problem(502))
    await vi.advanceTimersByTimeAsync(4_999)
    expect(account.unanswered).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(account).toMatchObject({ unanswered: true, state: 'in' })
    vi.mocked(me).mockResolvedValue(sampleMe())
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    expect(account.unanswered).toBe(false)
  })

  it('fetches nothing but the address again after a cut that the browser mended', async () => {
    useLive().start()
    stream.opened()
    await vi.advanceTimersByTimeAsync(0)
    for (const call of [listLive, whoami]) vi.mocked(call).mockClear()
    stream.cut(false)
    stream.opened()
    expect(listLive).not.toHaveBeenCalled()
    expect(whoami).toHaveBeenCalledTimes(1)
  })

  it('fetches everything again when the server forgot the last event', () => {
    useLive().start()
    stream.opened()
    for (const list of [listLive, listServices, listSites]) vi.mocked(list).mockClear()
    stream.reset()
    for (const list of [listLive, listServices, listSites]) expect(list).toHaveBeenCalledTimes(1)
  })

  it('connects again with growing pauses after a refusal, then fetches everything', async () => {
    useLive().start()
    stream.opened()
    stream.cut(true)
    await vi.advanceTimersByTimeAsync(1000)
    expect(events.listen).toHaveBeenCalledTimes(2)
    stream.cut(true)
    await vi.advanceTimersByTimeAsync(999)
    expect(events.listen).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(1001)
    expect(events.listen).toHaveBeenCalledTimes(3)
    vi.mocked(listServices).mockClear()
    stream.opened()
    expect(listServices).toHaveBeenCalledTimes(1)
  })

  it('lets go of the stream of a page that was hidden for a minute', () => {
    useLive().start()
    stream.opened()
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true)
    document.dispatchEvent(new Event('visibilitychange'))
    closed.mockClear()
    vi.advanceTimersByTime(60_000)
    expect(closed).toHaveBeenCalledTimes(1)
    hidden.mockReturnValue(false)
    document.dispatchEvent(new Event('visibilitychange'))
    expect(events.listen).toHaveBeenCalledTimes(2)
  })

  it('connects at once when the browser has a connection again', async () => {
    const online = vi.spyOn(navigator, 'onLine', 'get')
    useLive().start()
    stream.cut(true)
    for (const is of [false, true]) {
      online.mockReturnValue(is)
      window.dispatchEvent(new Event(is ? 'online' : 'offline'))
      await nextTick()
    }
    expect(events.listen).toHaveBeenCalledTimes(2)
  })

  it('leaves nothing running when it rests', () => {
    const live = useLive()
    live.start()
    stream.session(sampleSession())
    live.rest()
    expect(useSessions().all).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })
})
