import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Whoami } from '@/api/whoami'
import { listServices } from '@/api/services'
import { listLive } from '@/api/sessions'
import { at, noon, sampleMe, sampleService, sampleSession } from '@/testing/samples'
import { useAccount } from './account'
import { useAddress } from './address'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'
import { useTiles } from './tiles'

vi.mock('@/api/services')
vi.mock('@/api/sessions')

const outside: Whoami = {
  address: '203.0.113.24', family: 4, forwarded: false, kind: 'public', source: '203.0.113.24/32',
}

beforeEach(() => {
  vi.useFakeTimers({ now: noon })
  setActivePinia(createPinia())
  useAccount().me = sampleMe()
  useAddress().here = outside
  useServices().put(sampleService())
  useSites().put({ id: 'home-id', name: 'Home', host: 'home.example.org', connected: true })
})
afterEach(() => vi.useRealTimers())

const first = () => useTiles().all[0]

describe('a tile', () => {
  it('is closed, opening, and open with the time left', () => {
    const sessions = useSessions()
    expect(first()?.state).toBe('closed')
    sessions.opening.add('photos-id')
    expect(first()?.state).toBe('opening')
    sessions.opening.clear()
    sessions.apply(sampleSession())
    expect(first()).toMatchObject({ state: 'open', left: '20:00' })
  })

  it('is unreachable without its core, but open while a session runs', () => {
    const site = useSites().get('home-id')
    if (site) useSites().put({ ...site, connected: false })
    expect(first()?.state).toBe('unreachable')
    useSessions().apply(sampleSession())
    expect(first()?.state).toBe('open')
  })

  it('needs no session in the LAN, and can have none where no source is', () => {
    useAddress().here = { address: '192.168.7.50', family: 4, forwarded: false, kind: 'private' }
    expect(first()?.state).toBe('inside')
    useAddress().here = { address: '127.0.0.1', family: 4, forwarded: false, kind: 'unusable' }
    expect(first()?.state).toBe('unusable')
  })

  it('comes first when open, else by name', () => {
    useServices().put(sampleService({ id: 'nas-id', name: 'nas' }))
    useServices().put(sampleService({ id: 'wiki-id', name: 'wiki' }))
    useSessions().apply(sampleSession())
    expect(useTiles().all.map(({ service }) => service.name)).toEqual(['photos', 'nas', 'wiki'])
  })

  it('stays at its place while it is looked at, and is where it belongs at the next visit', async () => {
    const wiki = sampleService({ id: 'wiki-id', name: 'wiki' })
    vi.mocked(listServices).mockResolvedValue([wiki, sampleService(), sampleService({ id: 'nas-id', name: 'nas' })])
    vi.mocked(listLive).mockResolvedValue([sampleSession()])
    const names = () => useTiles().all.map(({ service }) => service.name)
    const opened = sampleSession({ id: 'wiki-session', service: 'wiki-id' })
    useTiles().arrange()
    await useServices().load()
    await useSessions().load()
    expect(names()).toEqual(['photos', 'nas', 'wiki'])
    useSessions().apply(opened)
    useSessions().apply(sampleSession({ state: 'ended', ended: at(0) }))
    expect(names()).toEqual(['photos', 'nas', 'wiki'])
    // What is new stands at the end.
    useServices().put(sampleService({ id: 'cam-id', name: 'cam' }))
    expect(names()).toEqual(['photos', 'nas', 'wiki', 'cam'])
    useTiles().arrange()
    expect(names()).toEqual(['wiki', 'cam', 'nas', 'photos'])
  })

  it('stays at its place when where this is turns out to be where it was', () => {
    useServices().put(sampleService({ id: 'nas-id', name: 'nas' }))
    useSessions().apply(sampleSession())
    const address = useAddress()
    const names = () => useTiles().all.map(({ service }) => service.name)
    address.here = undefined
    expect(names()).toEqual(['nas', 'photos'])
    address.last = outside.source
    expect(names()).toEqual(['photos', 'nas'])
    expect(first()?.state).toBe('closed')
    address.here = outside
    expect(names()).toEqual(['photos', 'nas'])
    address.here = { ...outside, source: '198.51.100.7/32' }
    expect(names()).toEqual(['nas', 'photos'])
  })
})
