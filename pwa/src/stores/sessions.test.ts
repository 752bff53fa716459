import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Problem } from '@/api/problem'
import * as api from '@/api/sessions'
import { listSites } from '@/api/sites'
import { useLanguage } from '@/messages'
import { at, noon, sampleGrant, sampleMe, sampleService, sampleSession, sampleSite } from '@/testing/samples'
import { useAccount } from './account'
import { useAddress } from './address'
import { useClock } from './clock'
import { useGrants } from './grants'
import { useNotices } from './notices'
import { useSessions } from './sessions'
import { useSites } from './sites'

vi.mock('@/api/sessions')
vi.mock('@/api/sites')

const service = sampleService()
const session = sampleSession()

/** A promise that a test settles when it wants to. */
function pending<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (problem: Problem) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
  useAddress().here = {
    address: '203.0.113.24', family: 4, forwarded: false, kind: 'public', source: '203.0.113.24/32',
  }
  vi.mocked(api.listLive).mockResolvedValue([session])
})
afterEach(() => vi.useRealTimers())

describe('open', () => {
  it('is opening at once, and open only when the server says so', async () => {
    const sessions = useSessions()
    const answer = pending<api.Session>()
    vi.mocked(api.openSession).mockReturnValue(answer.promise)
    const opening = sessions.open(service)
    expect(sessions.opening.has(service.id)).toBe(true)
    expect(sessions.forHere(service.id)).toBeUndefined()
    answer.resolve(session)
    await opening
    expect(sessions.opening.has(service.id)).toBe(false)
    expect(sessions.forHere(service.id)).toEqual(session)
    expect(useNotices().shown[0]?.text).toBe('photos is open for 20 min')
  })

  it('leads there, or copies the address of what has no page', async () => {
    const actions = () => useNotices().shown.at(-1)?.actions
    vi.mocked(api.openSession).mockResolvedValueOnce({ ...session, url: 'https://photos.example.org/' })
    await useSessions().open(service)
    expect(actions()?.map(({ label }) => label)).toEqual(['Go', 'Undo'])
    vi.mocked(api.openSession).mockResolvedValueOnce(session)
    await useSessions().open(service)
    expect(actions()?.map(({ label }) => label)).toEqual(['Copy address', 'Undo'])
    const write = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue()
    actions()?.[0]?.run?.()
    expect(write).toHaveBeenCalledWith(session.address)
  })

  it('is said by one toast a service: what was said before is no longer so', async () => {
    const texts = () => useNotices().shown.map(({ text }) => text)
    vi.mocked(api.openSession).mockResolvedValue(session)
    vi.mocked(api.renewSession).mockResolvedValue(session)
    vi.mocked(api.closeSession).mockResolvedValue({ ...session, state: 'ended', reason: 'closed' })
    const sessions = useSessions()
    await sessions.open({ id: 'other', name: 'mail' })
    await sessions.open(service)
    await sessions.extend(session)
    expect(texts()).toEqual(['mail is open for 20 min', expect.stringMatching(/^photos is open until /)])
    await sessions.close(session)
    expect(texts()).toEqual(['mail is open for 20 min', 'photos is closed'])
  })

  it('for another address names that, and leads nowhere', async () => {
    const source = '198.51.100.99/32'
    vi.mocked(api.openSession).mockResolvedValue({ ...session, url: 'https://photos.example.org/', source })
    await useSessions().open(service, { source: '198.51.100.99' })
    expect(useNotices().shown[0]?.text).toBe('photos for 198.51.100.99 is open for 20 min')
    expect(useNotices().shown[0]?.actions.map(({ label }) => label)).toEqual(['Undo'])
  })

  it('never has more time left than it was given', () => {
    useClock().now = noon - 900
    expect(useSessions().left(sampleSession({ opened: at(0), expires: at(1_800_000) }))).toBe(1_800_000)
  })

  it('opens one session for two taps', async () => {
    const sessions = useSessions()
    vi.mocked(api.openSession).mockResolvedValue(session)
    await Promise.all([sessions.open(service), sessions.open(service)])
    expect(api.openSession).toHaveBeenCalledTimes(1)
  })

  it('opens nothing when refused, and says why', async () => {
    const sessions = useSessions()
    vi.mocked(api.openSession).mockRejectedValue(new Problem(503))
    await sessions.open(service)
    expect(sessions.live).toEqual([])
    expect(sessions.opening.size).toBe(0)
    expect(useNotices().shown[0]).toMatchObject({
      bad: true,
      text: 'photos was not opened. The core could not be reached. Nothing was opened.',
    })
  })

  it('says how long is allowed when that was too long', async () => {
    const sessions = useSessions()
    useGrants().put(sampleGrant({ service: service.id, max_duration: '20m' }))
    const long = '1h0m0s is too long: at most 20m0s for you'
    vi.mocked(api.openSession).mockRejectedValue(new Problem(422, long, [{ field: 'for', message: long }]))
    await sessions.open(service)
    expect(useNotices().shown[0]?.text).toBe('photos was not opened. At most 20 min for you.')
  })

  it('says why without the name that the field has in the API', async () => {
    const sessions = useSessions()
    const fields = [{ field: 'public_port', message: 'the grant fixes port 20600' }]
    vi.mocked(api.openSession).mockRejectedValue(
      new Problem(422, 'public_port: the grant fixes port 20600', fields),
    )
    await sessions.open(service)
    expect(useNotices().shown[0]?.text).toBe(
      'photos was not opened. Ownline refused: the grant fixes port 20600.',
    )
  })

  it('closes again by undo', async () => {
    const sessions = useSessions()
    vi.mocked(api.openSession).mockResolvedValue(session)
    vi.mocked(api.closeSession).mockResolvedValue({ ...session, state: 'ended', ended: at(0) })
    await sessions.open(service)
    useNotices().shown[0]?.actions.at(-1)?.run?.()
    await vi.runAllTimersAsync()
    expect(api.closeSession).toHaveBeenCalledWith(session.id)
    expect(sessions.live).toEqual([])
  })
})

describe('close', () => {
  it('leaves the list at once and comes back when refused', async () => {
    const sessions = useSessions()
    await sessions.load()
    const answer = pending<api.Session>()
    vi.mocked(api.closeSession).mockReturnValue(answer.promise)
    const closing = sessions.close(session)
    expect(sessions.shown).toEqual([])
    answer.reject(new Problem(0))
    await closing
    expect(sessions.shown).toEqual([session])
    expect(useNotices().shown[0]?.bad).toBe(true)
  })

  it('opens again by undo for the time that was left', async () => {
    const sessions = useSessions()
    await sessions.load()
    vi.mocked(api.closeSession).mockResolvedValue({ ...session, state: 'ended', ended: at(0) })
    vi.mocked(api.openSession).mockResolvedValue(session)
    await sessions.close(session)
    useNotices().shown[0]?.actions[0]?.run?.()
    expect(api.openSession).toHaveBeenCalledWith(service.id, expect.any(String), { seconds: 1200 })
  })

  it('does not say that it is closed where the router can not be told', async () => {
    vi.mocked(listSites).mockResolvedValue([sampleSite({ connected: false })])
    await useSites().load()
    const sessions = useSessions()
    await sessions.load()
    vi.mocked(api.closeSession).mockResolvedValue({ ...session, state: 'ended', ended: at(0) })
    await sessions.close(session)
    expect(useNotices().shown[0]?.text).toMatch(/^photos is closed once Home can be reached; until then it may stay open, at most until /)
    expect(useNotices().shown[0]?.actions).toEqual([])
  })

  it('offers no undo for a session of another address: it would open for this one', async () => {
    const elsewhere = sampleSession({ source: '198.51.100.7/32' })
    vi.mocked(api.listLive).mockResolvedValue([elsewhere])
    vi.mocked(api.closeSession).mockResolvedValue({ ...elsewhere, state: 'ended', ended: at(0) })
    const sessions = useSessions()
    await sessions.load()
    await sessions.close(elsewhere)
    expect(useNotices().shown[0]?.actions).toEqual([])
  })
})

describe('extend', () => {
  it('shows more time at once, then what the server gave', async () => {
    const sessions = useSessions()
    await sessions.load()
    const answer = pending<api.Session>()
    vi.mocked(api.renewSession).mockReturnValue(answer.promise)
    const extending = sessions.extend(session)
    expect(sessions.shown[0]?.expires).toBe(at(3_000_000))
    expect(api.renewSession).toHaveBeenCalledWith(session.id, 3000)
    answer.resolve({ ...session, expires: at(1_500_000) })
    await extending
    expect(sessions.shown[0]?.expires).toBe(at(1_500_000))
  })

  it('shows the old time again when refused', async () => {
    const sessions = useSessions()
    await sessions.load()
    vi.mocked(api.renewSession).mockRejectedValue(new Problem(422, 'for: at most 30m'))
    await sessions.extend(session)
    expect(sessions.shown).toEqual([session])
    expect(useNotices().shown[0]?.text).toContain('for: at most 30m')
  })
})

describe('the list', () => {
  it('has the soonest end first', async () => {
    const sooner = sampleSession({ id: 'sooner', expires: at(60_000) })
    vi.mocked(api.listLive).mockResolvedValue([session, sooner])
    const sessions = useSessions()
    await sessions.load()
    expect(sessions.shown.map(({ id }) => id)).toEqual(['sooner', session.id])
  })

  it("hides others' sessions unless everybody's are asked for", () => {
    const sessions = useSessions()
    sessions.apply(sampleSession({ id: 'theirs', user: 'marc-id' }))
    expect(sessions.shown).toEqual([])
    sessions.everyone = true
    expect(sessions.shown).toHaveLength(1)
  })

  it('says for half a minute why a session ended', () => {
    const sessions = useSessions()
    const clock = useClock()
    sessions.apply({ ...session, state: 'ended', reason: 'expired', ended: at(0) })
    expect(sessions.live).toEqual([])
    expect(sessions.shown).toHaveLength(1)
    vi.advanceTimersByTime(30_000)
    clock.tick()
    expect(sessions.shown).toEqual([])
  })

  it('drops a session whose time is over although nobody said so', () => {
    const sessions = useSessions()
    const clock = useClock()
    sessions.apply(session)
    vi.advanceTimersByTime(1_203_001)
    clock.tick()
    expect(sessions.shown).toEqual([])
  })

  it('counts a session for this address only', () => {
    const sessions = useSessions()
    sessions.apply(sampleSession({ source: '198.51.100.7/32' }))
    expect(sessions.live).toHaveLength(1)
    expect(sessions.forHere(service.id)).toBeUndefined()
  })
})

describe('what a knock opened by IPv4 and IPv6', () => {
  const four = sampleSession({ id: 'four', device: 'phone-id', device_name: 'phone' })
  const six = { ...four, id: 'six', source: '2001:db8:7:1::/64', expires: at(1_201_000) }
  const ended = (one: api.Session) => ({ ...one, state: 'ended' as const, reason: 'closed' as const, ended: at(0) })

  async function shown() {
    vi.mocked(api.listLive).mockResolvedValue([four, six])
    const sessions = useSessions()
    await sessions.load()
    const act = sessions.shown[0]
    if (!act) throw new Error('nothing is shown')
    return { sessions, act }
  }

  it('is one for this address, by whichever it comes', async () => {
    const { sessions, act } = await shown()
    expect(sessions.live).toHaveLength(1)
    expect(sessions.forHere(service.id)).toBe(act)
    useAddress().here = {
      address: '2001:db8:7:1::24', family: 6, forwarded: false, kind: 'public', source: six.source,
    }
    expect(sessions.forHere(service.id)?.id).toBe('four')
    for (const id of ['four', 'six']) expect(sessions.find(id)).toEqual(act)
  })

  it('becomes one when the second comes, and the other stays when one ends', async () => {
    const sessions = useSessions()
    const ids = () => sessions.shown.map(({ id, state }) => `${id} ${state}`)
    sessions.apply(six)
    expect(ids()).toEqual(['six active'])
    sessions.apply(four)
    expect(ids()).toEqual(['four active'])
    sessions.apply(ended(four))
    expect(ids()).toEqual(['four ended', 'six active'])
    sessions.apply(ended(six))
    expect(ids()).toEqual(['four ended'])
  })

  it('goes on with the later end when nobody told the earlier one', async () => {
    const { sessions } = await shown()
    sessions.apply({ ...six, expires: at(1_220_000) })
    vi.advanceTimersByTime(1_204_000)
    useClock().tick()
    expect(sessions.live.map(({ id }) => id)).toEqual(['six'])
  })

  it('is extended at once, until the earlier end', async () => {
    const { sessions, act } = await shown()
    vi.mocked(api.renewSession).mockImplementation((id) =>
      Promise.resolve(id === 'four' ? { ...four, expires: at(3_600_000) } : { ...six, expires: at(3_000_000) }))
    const done = sessions.extend(act)
    expect([...sessions.extending]).toEqual(['four', 'six'])
    await done
    expect(vi.mocked(api.renewSession).mock.calls).toEqual([['four', 3000], ['six', 3001]])
    expect(sessions.extending.size).toBe(0)
    expect(sessions.shown.map(({ expires }) => expires)).toEqual([at(3_000_000)])
    expect(useNotices().shown.map(({ text }) => text)).toEqual([
      `photos is open until ${useLanguage().clockTime(new Date(at(3_000_000)))}`,
    ])
  })

  it('says of which half that it was not extended', async () => {
    const { sessions, act } = await shown()
    vi.mocked(api.renewSession).mockImplementation((id) =>
      id === 'four' ? Promise.resolve({ ...four, expires: at(3_000_000) }) : Promise.reject(new Problem(422, 'for: no')))
    await sessions.extend(act)
    const until = useLanguage().clockTime(new Date(at(3_000_000)))
    const [failed, done] = useNotices().shown
    expect(failed?.bad).toBe(true)
    expect(failed?.text).toMatch(/^photos for 2001:db8:7:1::\/64 was not extended\. .*for: no/)
    expect(done?.text).toBe(`photos for 203.0.113.24 is open until ${until}`)
    expect(sessions.shown[0]?.expires).toBe(six.expires)
  })

  it('is closed at once, with no undo: that would open half of it', async () => {
    const { sessions, act } = await shown()
    vi.mocked(api.closeSession).mockImplementation((id) => Promise.resolve(ended(id === 'four' ? four : six)))
    const done = sessions.close(act)
    expect(sessions.shown).toEqual([])
    await done
    expect(vi.mocked(api.closeSession).mock.calls).toEqual([['four'], ['six']])
    expect(useNotices().shown).toMatchObject([{ text: 'photos is closed', actions: [] }])
  })

  it('says of which half that it was not closed, and shows that', async () => {
    const { sessions, act } = await shown()
    vi.mocked(api.closeSession).mockImplementation((id) =>
      id === 'four' ? Promise.resolve(ended(four)) : Promise.reject(new Problem(0)))
    await sessions.close(act)
    expect(sessions.shown).toEqual([six])
    const [failed, done] = useNotices().shown
    expect(failed?.text).toMatch(/^photos for 2001:db8:7:1::\/64 was not closed\./)
    expect(done?.text).toBe('photos for 203.0.113.24 is closed')
  })

  it('says once why neither was closed', async () => {
    const { sessions, act } = await shown()
    vi.mocked(api.closeSession).mockRejectedValue(new Problem(0))
    await sessions.close(act)
    expect(sessions.shown).toEqual([act])
    expect(useNotices().shown).toHaveLength(1)
    expect(useNotices().shown[0]?.text).toMatch(/^photos was not closed\./)
  })
})
