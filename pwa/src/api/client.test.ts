import { afterEach, describe, expect, it, vi } from 'vitest'
import { login, me } from './auth'
import { onProblem, onSignedOut, onTiming, type Timing } from './client'
import { Problem } from './problem'
import { listLive, openSession } from './sessions'
import { whoami } from './whoami'

const server = vi.fn<(request: Request) => Promise<Response>>()
vi.stubGlobal('fetch', server)
afterEach(() => server.mockReset())

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
  })
}

describe('the client', () => {
  it('fetches every page of a list', async () => {
    server
      .mockResolvedValueOnce(json({ items: [{ id: '1' }], next: 'more' }))
      .mockResolvedValueOnce(json({ items: null }))
    expect(await listLive(true)).toEqual([{ id: '1' }])
    const [first, second] = server.mock.calls.map(([request]) => new URL(request.url))
    expect(first?.pathname).toBe('/api/v1/sessions')
    expect(first?.search).toBe('?state=live&limit=200&all=true')
    expect(second?.searchParams.get('cursor')).toBe('more')
  })

  it('sends the key that makes opening happen once', async () => {
    server.mockResolvedValueOnce(json({}, 201))
    await openSession('photos-id', 'key', { seconds: 1200 })
    const request = server.mock.calls[0]?.[0]
    expect(request?.headers.get('Idempotency-Key')).toBe('key')
    expect(await request?.json()).toEqual({ service: 'photos-id', for: '1200s' })
  })

  it('throws what the server said, with the fields it named', async () => {
    const errors = [{ location: 'body.name', message: 'is taken' }]
    server.mockResolvedValueOnce(json({ detail: 'no', errors }, 429, { 'Retry-After': '120' }))
    await expect(whoami()).rejects.toMatchObject({
      status: 429, detail: 'no', fields: [{ field: 'name', message: 'is taken' }], retryAfter: 120,
    })
  })

  it('has a problem put into words before it throws it', async () => {
    onProblem(async (problem) => {
      for (const field of problem.fields) field.message = `${field.code} ${field.params?.['most']}`
    })
    const errors = [{ location: 'body.uses', message: 'must be 1 to 20', code: 'range_from_1', params: { most: '20' } }]
    server.mockResolvedValueOnce(json({ detail: 'no', errors }, 422))
    await expect(whoami()).rejects.toMatchObject({ fields: [{ field: 'uses', message: 'range_from_1 20' }] })
    onProblem(async () => undefined)
  })

  it('throws an unreachable problem when nobody answers', async () => {
    server.mockRejectedValueOnce(new TypeError('failed to fetch'))
    await expect(whoami()).rejects.toSatisfy((e) => e instanceof Problem && e.unreachable)
  })

  it('tells when somebody is signed out, but not of a wrong password', async () => {
    const told = vi.fn<() => void>()
    onSignedOut(told)
    server.mockImplementation(async () => json({}, 401))
    await expect(login('ana', 'wrong')).rejects.toThrow(Problem)
    await expect(me()).rejects.toThrow(Problem)
    expect(told).not.toHaveBeenCalled()
    await expect(whoami()).rejects.toThrow(Problem)
    expect(told).toHaveBeenCalledTimes(1)
  })

  it('tells the date of every answer', async () => {
    const told = vi.fn<(timing: Timing) => void>()
    onTiming(told)
    server.mockResolvedValueOnce(json({}, 200, { Date: 'Fri, 03 May 2030 12:00:00 GMT' }))
    await whoami()
    expect(told.mock.calls[0]?.[0].date).toBe(Date.parse('2030-05-03T12:00:00Z'))
  })
})
