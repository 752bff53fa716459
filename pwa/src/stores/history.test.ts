import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '@/api/history'
import { Problem } from '@/api/problem'
import { at, sampleSession } from '@/testing/samples'
import { asCsv } from './csv'
import { useHistory } from './history'

vi.mock('@/api/history')

const past = (n: number) =>
  sampleSession({ id: `s${n}`, state: 'ended', reason: 'expired', opened: at(-n * 60_000), ended: at(0) })

beforeEach(() => {
  setActivePinia(createPinia())
  vi.mocked(api.historyPage).mockImplementation(async (_, limit, cursor) => {
    const start = Number(cursor ?? 0)
    const end = Math.min(120, start + limit)
    const sessions = Array.from({ length: end - start }, (_each, i) => past(start + i))
    return { items: sessions, next: end < 120 ? String(end) : undefined }
  })
})

describe('history', () => {
  it('goes on page by page to the end, and no further', async () => {
    const history = useHistory()
    await history.show({})
    expect(history.sessions).toHaveLength(50)
    await Promise.all([history.more(), history.more()])
    expect(history.sessions).toHaveLength(100)
    await history.more()
    await history.more()
    expect(history.sessions.map(({ id }) => id)).toEqual(Array.from({ length: 120 }, (_, i) => `s${i}`))
    expect(history.hasMore).toBe(false)
    expect(api.historyPage).toHaveBeenCalledTimes(3)
  })

  it('shows what it had when somebody comes back to the same filter', async () => {
    const history = useHistory()
    await history.show({ service: 'photos-id' })
    await history.more()
    await history.show({ service: 'photos-id' }, true)
    expect(history.sessions).toHaveLength(100)
    await history.show({}, true)
    expect(history.sessions).toHaveLength(50)
    expect(api.historyPage).toHaveBeenLastCalledWith({}, 50, undefined)
  })

  it('drops the answer to a filter that is not set any more', async () => {
    const history = useHistory()
    let late: (page: Awaited<ReturnType<typeof api.historyPage>>) => void = () => {}
    vi.mocked(api.historyPage).mockReturnValueOnce(new Promise((done) => (late = done)))
    const first = history.show({ reason: 'failed' })
    await history.show({})
    late({ items: [past(999)], next: undefined })
    await first
    expect(history.sessions).toHaveLength(50)
  })

  it('keeps what it has when the next page fails', async () => {
    const history = useHistory()
    await history.show({})
    vi.mocked(api.historyPage).mockRejectedValueOnce(new Problem(0))
    await history.more()
    expect(history.state).toBe('ready')
    expect(history.problem?.unreachable).toBe(true)
    expect(history.sessions).toHaveLength(50)
    await history.more()
    expect(history.sessions).toHaveLength(100)
  })

  it('takes in what has just ended, if the filter lets it through', async () => {
    const history = useHistory()
    await history.show({ service: 'photos-id' })
    history.apply({ ...past(0), id: 'live', state: 'active' })
    history.apply({ ...past(0), id: 'other', service: 'files-id' })
    expect(history.sessions).toHaveLength(50)
    history.apply({ ...past(0), id: 'new', opened: at(-90_000) })
    expect(history.sessions.slice(0, 4).map(({ id }) => id)).toEqual(['s0', 's1', 'new', 's2'])
  })

  it('exports everything by the filter', async () => {
    const history = useHistory()
    await history.show({ reason: 'expired' })
    expect(await history.everything()).toHaveLength(120)
    expect(api.historyPage).toHaveBeenLastCalledWith({ reason: 'expired' }, 200, undefined)
  })
})

describe('a table for other programs', () => {
  it('keeps commas, quotes and lines in their cells, and formulas from being run', () => {
    expect(asCsv([['a', 'b,c', 'say "x"'], ['=1+1', 'two\nlines', '']])).toBe(
      'a,"b,c","say ""x"""\r\n\'=1+1,"two\nlines",\r\n',
    )
  })
})
