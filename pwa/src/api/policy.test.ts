import { afterEach, describe, expect, it, vi } from 'vitest'
import { barred } from './policy'

const policy = `default-src 'none'; connect-src 'self' wss://broker.example.org:8084 https://address.example.org; worker-src 'self'`
const page = (headers?: HeadersInit) => new Response('', headers && { headers })

afterEach(() => vi.unstubAllGlobals())

describe('a broker', () => {
  it.each([
    ['wss://broker.example.org:8084/mqtt', false],
    [`ws://${location.host}/mqtt`, false],
    ['wss://broker.example.org/mqtt', true],
    ['wss://broker.evil.example:8084/mqtt', true],
    ['ws://broker.example.org:8084/', true],
  ])('%s is barred by the policy: %s', async (address, is) => {
    vi.stubGlobal('fetch', () => Promise.resolve(page({ 'Content-Security-Policy': policy })))
    expect(await barred(address)).toBe(is)
  })

  it('is taken where nobody tells the policy', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no way there')))
    expect(await barred('wss://broker.example.org/')).toBe(false)
    vi.stubGlobal('fetch', () => Promise.resolve(page()))
    expect(await barred('wss://broker.example.org/')).toBe(false)
  })

  it('is held to the policy of the page that is kept', async () => {
    vi.stubGlobal('navigator', { serviceWorker: { controller: {} } })
    vi.stubGlobal('caches', { match: () => Promise.resolve(page({ 'Content-Security-Policy': policy })) })
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('offline')))
    expect(await barred('wss://broker.evil.example/')).toBe(true)
  })
})
