import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import * as auth from '@/api/auth'
import { Problem } from '@/api/problem'
import { listServices } from '@/api/services'
import { listLive } from '@/api/sessions'
import { listSites } from '@/api/sites'
import { sampleMe, sampleService, sampleSession, sampleSite } from '@/testing/samples'
import { useAccount } from './account'
import { useAddress } from './address'
import { lastKnown, useKnown } from './known'
import { useServices } from './services'
import { useSessions } from './sessions'
import { useSites } from './sites'

vi.mock('@/api/auth')
vi.mock('@/api/services')
vi.mock('@/api/sessions')
vi.mock('@/api/sites')

beforeEach(() => {
  localStorage.clear()
  visit()
})

function visit(): void {
  setActivePinia(createPinia())
}

/** A visit that hears everything from the server. */
async function heard(): Promise<void> {
  vi.mocked(auth.me).mockResolvedValue(sampleMe())
  vi.mocked(listServices).mockResolvedValue([sampleService()])
  vi.mocked(listLive).mockResolvedValue([sampleSession(), sampleSession({ id: 'theirs', user: 'marc-id' })])
  vi.mocked(listSites).mockResolvedValue([sampleSite()])
  useKnown()
  await useAccount().load()
  await Promise.all([useServices().load(), useSessions().load(), useSites().load()])
  await nextTick()
}

describe('what was last known', () => {
  it('is shown at the next visit, marked as old until the server tells more', async () => {
    await heard()
    visit()
    await useAccount().load({ before: lastKnown() })
    const known = useKnown()
    known.show()
    expect(useServices().all).toEqual([sampleService()])
    expect(known.asOf).toBeDefined()
    await Promise.all([useServices().load(), useSessions().load(), useSites().load()])
    await nextTick()
    expect(known.asOf).toBeUndefined()
  })

  it('tells where the browser was', async () => {
    await heard()
    useAddress().here = { address: '203.0.113.24', family: 4, forwarded: false, kind: 'public', source: '203.0.113.24/32' }
    await nextTick()
    visit()
    await useAccount().load({ before: lastKnown() })
    useKnown().show()
    expect(useAddress().last).toBe('203.0.113.24/32')
  })

  it('is all there is when nobody answers', async () => {
    await heard()
    visit()
    vi.mocked(auth.me).mockRejectedValue(new Problem(0))
    expect(await useAccount().load({ before: lastKnown() })).toBe('away')
    useKnown().show()
    expect(useAccount().me?.name).toBe('ana')
    expect(useServices().all).toHaveLength(1)
  })

  it("holds nobody else's sessions", async () => {
    await heard()
    expect(localStorage.getItem('ownline.known')).not.toContain('theirs')
  })

  it('is not shown to another person', async () => {
    await heard()
    visit()
    vi.mocked(auth.me).mockResolvedValue(sampleMe({ id: 'marc-id' }))
    await useAccount().load()
    useKnown().show()
    expect(useServices().all).toEqual([])
  })

  it('is wiped', async () => {
    await heard()
    useKnown().wipe()
    expect(lastKnown()).toBeUndefined()
  })

  it('does not stand in for what the server has told', async () => {
    await heard()
    vi.mocked(listServices).mockResolvedValue([])
    await useServices().load()
    useKnown().show()
    expect(useServices().all).toEqual([])
  })
})

describe('a sign-in that runs out', () => {
  it('waits for another, and remembers who it was', async () => {
    await heard()
    useAccount().expire()
    expect(useAccount().state).toBe('over')
    expect(useAccount().me?.name).toBe('ana')
    await useAccount().load()
    expect(useAccount().state).toBe('in')
  })

  it('is no sign-in at all where nobody was signed in', () => {
    useAccount().expire()
    expect(useAccount().state).toBe('out')
  })
})
