import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Problem } from '@/api/problem'
import * as api from '@/api/refusals'
import { refusal as english } from '@/messages/en/refusal'
import { at } from '@/testing/samples'
import { byReason, useRefusals } from './refusals'

vi.mock('@/api/refusals')
beforeEach(() => setActivePinia(createPinia()))

const line = (change: Partial<api.Refusal> = {}): api.Refusal => ({ reason: 'time', number: 2, first: at(-60_000), latest: at(-30_000), ...change })

describe('refusals', () => {
  it('are one for each reason, with the sum of its lines, the latest first', () => {
    const phone = line({ device: 'phone-id' })
    const laptop = line({ device: 'laptop-id', number: 5, first: at(-90_000), latest: at(-10_000) })
    const noise = line({ reason: 'kernel_garbage', number: 9, latest: at(-20_000) })
    expect(byReason([noise, phone, laptop])).toEqual([
      { reason: 'time', number: 7, first: at(-90_000), latest: at(-10_000), lines: [laptop, phone] },
      { reason: 'kernel_garbage', number: 9, first: at(-60_000), latest: at(-20_000), lines: [noise] },
    ])
  })

  it('are forgotten when something else is asked for, and kept when it is asked for again', async () => {
    const refusals = useRefusals()
    vi.mocked(api.listRefusals).mockResolvedValue([line()])
    await refusals.load(7, '')
    expect([refusals.state, refusals.all.length]).toEqual(['ready', 1])
    vi.mocked(api.listRefusals).mockRejectedValue(new Problem(500))
    await refusals.load(7, '')
    expect(refusals.state).toBe('ready')
    await refusals.load(30, 'home-id')
    expect(api.listRefusals).toHaveBeenLastCalledWith(30, 'home-id')
    expect(refusals.state).toBe('failed')
  })

  it('that were asked for first are not shown when they come last', async () => {
    const refusals = useRefusals()
    let late: (all: api.Refusal[]) => void = () => undefined
    vi.mocked(api.listRefusals).mockReturnValueOnce(new Promise((resolve) => (late = resolve))).mockResolvedValueOnce([])
    const first = refusals.load(7, '')
    await refusals.load(1, '')
    late([line()])
    await first
    expect(refusals.all).toEqual([])
  })

  it('have words for every reason that there is', () => {
    const text = readFileSync(join(import.meta.dirname, '../../../docs/reference/refusals.md'), 'utf8')
    // What only ownline-core status says of web's word is not among them.
    const told = text.split('\n').filter((row) => row.startsWith('| `') && !row.includes('In `ownline-core status` only'))
    const reasons = told.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''))
    expect(new Set(reasons).size).toBeGreaterThan(25)
    expect(Object.keys(english.reasons).toSorted()).toEqual([...new Set(reasons)].toSorted())
  })
})
