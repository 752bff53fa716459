import { flushPromises } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '@/api/grants'
import { Problem } from '@/api/problem'
import { at } from '@/testing/samples'
import { useEveryGrant } from './everyGrant'
import { useNotices } from './notices'

vi.mock('@/api/grants')
beforeEach(() => setActivePinia(createPinia()))

const pair = { user: 'ana-id', service: 'photos-id' }
const other = { user: 'bob-id', service: 'photos-id' }
const grant = (change: Partial<api.Grant> = {}): api.Grant => ({
  ...pair, id: 'grant-id', automatic: false, allow_reserved: false, require_claimed_source: false, created: at(0), ...change,
})

const words = (n: number) => `${n} grants are set`

async function filled(...all: api.Grant[]) {
  vi.mocked(api.listGrants).mockResolvedValue(all)
  const grants = useEveryGrant()
  await grants.load()
  return grants
}

async function undo(): Promise<void> {
  useNotices().shown.at(-1)?.actions[0]?.run?.()
  await flushPromises()
}

describe('grants', () => {
  it('are given at once, and taken back by undo', async () => {
    const grants = await filled()
    vi.mocked(api.addGrant).mockResolvedValue(grant())
    const setting = grants.setAll([pair], true, words)
    expect(grants.of(pair)).toBeDefined()
    await setting
    expect(grants.all.map(({ id }) => id)).toEqual(['grant-id'])
    vi.mocked(api.removeGrant).mockResolvedValue()
    expect(useNotices().shown.at(-1)?.text).toBe('1 grants are set')
    await undo()
    expect(api.removeGrant).toHaveBeenCalledWith('grant-id')
    expect(grants.of(pair)).toBeUndefined()
  })

  it('come back by undo with the terms that they had', async () => {
    const grants = await filled(grant({ automatic: true, require_claimed_source: true, public_port: 20443, max_duration: '8h0m0s', max_sources: 4, allowed_from: ['ES'] }))
    vi.mocked(api.removeGrant).mockResolvedValue()
    await grants.setAll([pair], false, words)
    expect(grants.of(pair)).toBeUndefined()
    vi.mocked(api.addGrant).mockResolvedValue(grant({ id: 'new', automatic: true }))
    await undo()
    expect(api.addGrant).toHaveBeenCalledWith({ ...pair, automatic: true, require_claimed_source: true, public_port: 20443, max_duration: '8h0m0s', max_sources: 4, allowed_from: ['ES'] })
    expect(grants.of(pair)?.id).toBe('new')
  })

  it('change only where they are not so already', async () => {
    const grants = await filled(grant())
    vi.mocked(api.addGrant).mockResolvedValue(grant({ ...other, id: 'bob-grant' }))
    await grants.setAll([pair, other], true, words)
    expect(api.addGrant).toHaveBeenCalledExactlyOnceWith(other)
    vi.mocked(api.removeGrant).mockResolvedValue()
    await undo()
    expect(grants.all.map(({ id }) => id)).toEqual(['grant-id'])
  })

  it('are drawn as before when the server refuses', async () => {
    const grants = await filled()
    vi.mocked(api.addGrant).mockRejectedValue(new Problem(409, 'the service needs no grant'))
    await grants.setAll([pair], true, words)
    expect(grants.of(pair)).toBeUndefined()
    expect(useNotices().shown.at(-1)).toMatchObject({ bad: true })
  })

  it('change their terms at once, and back', async () => {
    const grants = await filled(grant({ public_port: 20443 }))
    vi.mocked(api.changeGrant).mockRejectedValue(new Problem(409, 'the port is taken'))
    const changing = grants.change(grant({ public_port: 20443 }), { public_port: undefined })
    expect(grants.of(pair)?.public_port).toBeUndefined()
    await changing
    expect(api.changeGrant).toHaveBeenCalledWith('grant-id', { public_port: 0 })
    expect(grants.of(pair)?.public_port).toBe(20443)
  })

  it('have the terms that they had by undo', async () => {
    const before = grant({ public_port: 20443 })
    const grants = await filled(before)
    vi.mocked(api.changeGrant).mockResolvedValueOnce(grant({ automatic: true })).mockResolvedValueOnce(before)
    await grants.change(before, { automatic: true, public_port: undefined })
    expect(useNotices().shown.at(-1)?.text).toBe('Saved')
    await undo()
    expect(api.changeGrant).toHaveBeenLastCalledWith('grant-id', { automatic: false, public_port: 20443 })
    expect(grants.of(pair)).toEqual(before)
  })

  it('allow more addresses side by side, and the usual two again', async () => {
    const grants = await filled(grant())
    vi.mocked(api.changeGrant).mockResolvedValue(grant({ max_sources: 3 }))
    const changing = grants.change(grant(), { max_sources: 3 })
    expect(grants.of(pair)?.max_sources).toBe(3)
    await changing
    vi.mocked(api.changeGrant).mockResolvedValue(grant())
    await grants.change(grant({ max_sources: 3 }), { max_sources: undefined })
    expect(vi.mocked(api.changeGrant).mock.calls.slice(-2)).toEqual([['grant-id', { max_sources: 3 }], ['grant-id', { max_sources: 0 }]])
    expect(grants.of(pair)).not.toHaveProperty('max_sources')
  })

  it('require a claimed source, and none again when that is refused', async () => {
    const grants = await filled(grant())
    vi.mocked(api.changeGrant).mockRejectedValueOnce(new Problem(503))
    const changing = grants.change(grant(), { require_claimed_source: true })
    expect(grants.of(pair)?.require_claimed_source).toBe(true)
    await changing
    expect(api.changeGrant).toHaveBeenLastCalledWith('grant-id', { require_claimed_source: true })
    expect(grants.of(pair)?.require_claimed_source).toBe(false)
  })

  it('count only from where they are told, and say when that is refused', async () => {
    const grants = await filled(grant())
    vi.mocked(api.changeGrant).mockRejectedValueOnce(new Problem(422)).mockResolvedValueOnce(grant({ allowed_from: ['ES'] }))
    await expect(grants.allowFrom(grant(), ['ES'])).rejects.toThrow(Problem)
    expect(grants.of(pair)).not.toHaveProperty('allowed_from')
    await grants.allowFrom(grant(), ['ES'])
    expect(api.changeGrant).toHaveBeenLastCalledWith('grant-id', { allowed_from: ['ES'] })
    expect(grants.of(pair)?.allowed_from).toEqual(['ES'])
  })
})
