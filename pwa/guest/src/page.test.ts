import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { glyphs } from '../../src/components/service/glyphs'
import { startPage } from './page'
import { byAPI } from './ways'
import { wordsFor } from './words'

interface Document {
  components: { schemas: { ErrorDetail: { properties: { code: { 'x-ownline-sentences': Record<string, string> } } } } }
}

const hour = 3_600_000
const noon = Date.parse('2030-05-03T12:00:00Z')
const iso = (after: number) => new Date(noon + after).toISOString()

const valid = {
  state: 'valid', host: 'home.example.org', service: 'photos', from: 'Marc', message: 'Hello', seconds: 3600,
  left: 1, expires: iso(24 * hour), families: [4], source: '203.0.113.24', kind: 'public', time: iso(0),
}
const access = {
  service: 'photos', host: 'home.example.org', port: 20443, transport: 'tcp', url: 'https://photos.example.org:9999/',
  source: '203.0.113.24/32', expires: iso(hour), time: iso(0),
}

/** What the server answers, by the last part of the path. */
let answers: Record<string, unknown>
const asked: string[] = []

async function shown(): Promise<HTMLElement> {
  const root = document.createElement('main')
  document.body.replaceChildren(root)
  await startPage(root)
  return root
}

const press = (root: HTMLElement, name: string) =>
  [...root.querySelectorAll('button')].find((one) => one.textContent === name)?.click()
/** As a finger does: a click that a key or a script makes has no detail. */
const tap = (root: HTMLElement, name: string) =>
  [...root.querySelectorAll('button')].find((one) => one.textContent === name)?.dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1 }))
const settled = (root: HTMLElement, text: string) =>
  vi.waitFor(() => expect(root.textContent).toContain(text), 20_000)

/** Without the event of a change: the page is loaded with it. */
const linkEnds = (fragment: string) => history.replaceState(null, '', fragment)

beforeEach(() => {
  // Pages of earlier tests must not hear of this one's link.
  vi.spyOn(globalThis, 'addEventListener').mockImplementation(() => {})
  asked.length = 0
  answers = { 'config.json': { way: 'api' }, preview: valid, redeem: access, leave: '' }
  linkEnds(`#${'A'.repeat(43)}`)
  vi.stubGlobal('fetch', async (path: string) => {
    const name = path.split('/').at(-1) ?? ''
    asked.push(name)
    const answer = answers[name]
    if (answer instanceof Response) return answer
    if (typeof answer === 'number') return new Response('{}', { status: answer })
    return new Response(answer === '' ? undefined : JSON.stringify(answer), { status: answer === '' ? 204 : 200 })
  })
})

afterEach(() => vi.restoreAllMocks())

const refusal = (message: string, code?: string, params?: Record<string, string>) =>
  Response.json({ detail: `source: ${message}`, errors: [{ location: 'body.source', message, code, params }] }, { status: 409 })

describe('the page for guests', () => {
  it('says who lets them use what, for how long, and for which address', async () => {
    const root = await shown()
    expect(root.querySelector('h1')?.textContent).toBe('Marc lets you use photos for 1 hour')
    expect(root.textContent).toContain('For your address 203.0.113.24 only')
    expect(root.textContent).not.toContain('carrier')
    expect(asked).toEqual(['config.json', 'preview'])
  })

  it('offers nothing for an address that a carrier shares out', async () => {
    answers['preview'] = { ...valid, source: '100.64.0.9', kind: 'carrier_nat' }
    const root = await shown()
    expect(root.textContent).toContain('Try from another network.')
    expect(root.querySelector('button')?.disabled).toBe(true)
  })

  it('shows what is open, until the guest closes it', async () => {
    answers['preview'] = { ...valid, opened: access }
    const root = await shown()
    expect(root.textContent).toContain('photos is open for you')
    expect(root.querySelector('a')?.textContent).toBe('Go to photos')
    expect(root.querySelector('.count')?.textContent).toMatch(/^(1:00:00|59:5\d)$/)
    answers['preview'] = { ...valid, state: 'used', left: 0 }
    press(root, 'Close now')
    await settled(root, 'It is closed.')
    expect(asked).toContain('leave')
    expect(root.textContent).toContain('This link was used up. Ask whoever sent it for another one.')
    expect(root.querySelector('button')).toBeNull()
  })

  it('offers to look again when nobody says what it is after it was closed', async () => {
    answers['preview'] = { ...valid, opened: access }
    const root = await shown()
    answers['preview'] = 503
    press(root, 'Close now')
    await settled(root, 'It is closed.')
    expect(root.querySelector('button')?.textContent).toBe('Try again')
  })

  it('is not closed by the second tap of a double tap, nor opened again', async () => {
    vi.useFakeTimers()
    try {
      const root = await shown()
      tap(root, 'Open photos for 1 hour')
      await vi.advanceTimersByTimeAsync(200)
      expect(root.textContent).toContain('photos is open for you')
      answers['preview'] = { ...valid, opened: access }
      tap(root, 'Close now')
      await vi.advanceTimersByTimeAsync(900)
      expect(asked).not.toContain('leave')
      answers['preview'] = valid
      tap(root, 'Close now')
      await vi.advanceTimersByTimeAsync(200)
      expect(root.textContent).toContain('It is closed.')
      tap(root, 'Open it again')
      await vi.advanceTimersByTimeAsync(900)
      expect(asked.filter((one) => one === 'redeem')).toHaveLength(1)
      tap(root, 'Open it again')
      await vi.advanceTimersByTimeAsync(200)
      expect(asked.filter((one) => one === 'redeem')).toHaveLength(2)
    } finally {
      vi.useRealTimers()
    }
  })

  it('gives a name to who was let in to one, and an address and port to others', async () => {
    answers['preview'] = { ...valid, opened: access }
    const named = await shown()
    expect(named.querySelector('code')?.textContent).toBe('https://photos.example.org:9999/')
    expect(named.textContent).not.toContain('home.example.org')
    const { url: _, ...forwarded } = access
    answers['preview'] = { ...valid, opened: { ...forwarded, host: '2001:db8::1' } }
    const other = await shown()
    expect(other.querySelector('code')?.textContent).toBe('[2001:db8::1]:20443')
    expect(other.textContent).toContain('Connect to')
  })

  it('draws the service and the time left, and says it', async () => {
    expect((await shown()).querySelector('.mark')?.textContent).toBe('P')
    answers['preview'] = { ...valid, opened: { ...access, expires: iso(19 * 60_000 - 500) } }
    const root = await shown()
    expect(root.querySelector<HTMLElement>('.mark')?.dataset['tint']).toMatch(/^[0-7]$/)
    expect(root.querySelector('[role=img]')?.getAttribute('aria-label')).toBe('19 minutes left')
    expect(root.textContent).not.toContain('Time left')
  })

  it('draws the icon that was chosen, before and after', async () => {
    answers['preview'] = { ...valid, icon: 'terminal' }
    const root = await shown()
    await vi.waitFor(() => expect(root.querySelector('.mark path')?.getAttribute('d')).toBe(glyphs['terminal']), 20_000)
    expect(root.querySelector<HTMLElement>('.mark')?.dataset['tint']).toMatch(/^[0-7]$/)
    press(root, 'Open photos for 1 hour')
    await settled(root, 'photos is open for you')
    await vi.waitFor(() => expect(root.querySelector('.mark path')?.getAttribute('d')).toBe(glyphs['terminal']), 20_000)
    answers['preview'] = { ...valid, icon: 'newer' }
    const newer = await shown()
    await vi.waitFor(() => expect(newer.querySelector('.mark')?.textContent).toBe('P'), 20_000)
  })

  it('draws a picture, fetched once by the secret, and a letter without', async () => {
    answers['preview'] = { ...valid, icon: 'uploaded:ab12' }
    answers['icon'] = new Response('<svg xmlns="http://www.w3.org/2000/svg"/>', { headers: { 'Content-Type': 'image/svg+xml' } })
    const root = await shown()
    await vi.waitFor(() => expect(root.querySelector('.mark img')?.getAttribute('src')).toMatch(/^blob:/), 20_000)
    press(root, 'Open photos for 1 hour')
    await settled(root, 'photos is open for you')
    await vi.waitFor(() => expect(root.querySelector('.mark img')).not.toBeNull(), 20_000)
    expect(asked).toEqual(['config.json', 'preview', 'icon', 'redeem'])
    root.querySelector('.mark img')?.dispatchEvent(new Event('error'))
    expect(root.querySelector('.mark')?.innerHTML).toBe('P')
    answers['icon'] = 409
    const over = await shown()
    await vi.waitFor(() => expect(over.querySelector('.mark')?.textContent).toBe('P'), 20_000)
  })

  it.for([429, new TypeError('offline')])('asks again for a picture that did not come: %s', async (why) => {
    const svg = new Response('<svg xmlns="http://www.w3.org/2000/svg"/>', { headers: { 'Content-Type': 'image/svg+xml' } })
    const fetcher = vi.fn<typeof fetch>()
    if (typeof why === 'number') fetcher.mockResolvedValueOnce(new Response('', { status: why }))
    else fetcher.mockRejectedValueOnce(why)
    fetcher.mockResolvedValueOnce(svg)
    const way = byAPI('secret', fetcher)
    await expect(way.picture?.('uploaded:ab12')).rejects.toThrow(typeof why === 'number' ? 'throttled' : 'noAnswer')
    expect(await way.picture?.('uploaded:ab12')).toMatch(/^blob:/)
    expect(await way.picture?.('uploaded:ab12')).toMatch(/^blob:/)
    expect(fetcher).toHaveBeenCalledTimes(2)
  })

  it('says when it can not be closed from here, and stays', async () => {
    answers['preview'] = { ...valid, opened: access }
    answers['leave'] = 404
    const root = await shown()
    press(root, 'Close now')
    await settled(root, 'It closes by itself.')
    expect(root.textContent).toContain('photos is open for you')
  })

  it('tells those inside where it is, and opens nothing', async () => {
    answers['preview'] = { ...valid, source: '192.168.7.50', kind: 'private', inside: '192.168.7.10:22' }
    const root = await shown()
    expect(root.textContent).toContain('You’re already inside.')
    expect(root.querySelector('code')?.textContent).toBe('192.168.7.10:22')
    expect(root.textContent).not.toContain('Open photos')
  })

  it.each([
    ['withdrawn', { ...valid, state: 'revoked' }, 'This link was withdrawn.'],
    ['forgotten', 422, 'This link is not right. Ask for it again.'],
  ])('says soon that it was %s, and asks no more', async (_, answer, text) => {
    vi.useFakeTimers()
    try {
      answers['preview'] = { ...valid, opened: access }
      const root = await shown()
      answers['preview'] = answer
      await vi.advanceTimersByTimeAsync(6_000)
      expect(root.querySelector('h1')?.textContent).toBe(text)
      const before = asked.length
      await vi.advanceTimersByTimeAsync(120_000)
      expect(asked.length, 'it asks on').toBe(before)
    } finally {
      vi.useRealTimers()
    }
  })

  it('notices another address, and opens for it', async () => {
    answers['preview'] = { ...valid, opened: access }
    const root = await shown()
    answers['preview'] = { ...valid, source: '198.51.100.7' }
    answers['redeem'] = { ...access, source: '198.51.100.7/32' }
    document.dispatchEvent(new Event('visibilitychange'))
    await settled(root, 'Your address changed.')
    press(root, 'Open it for the new one')
    await settled(root, 'photos is open for you')
    expect(asked.at(-1)).toBe('redeem')
  })

  it.each([
    [{ state: 'used' }, 'This link was used up.'],
    [{ state: 'revoked' }, 'This link was withdrawn.'],
    [{ state: 'expired', expires: '2030-05-03T12:00:00Z' }, 'This link ended on May 3, 2030.'],
  ])('names no service when it is over: %j', async (change, text) => {
    answers['preview'] = { ...valid, ...change }
    const root = await shown()
    expect(root.querySelector('h1')?.textContent).toBe(text)
    expect(root.textContent).not.toContain('photos')
  })

  it('says what to do with half a link, and when the core is away', async () => {
    answers['preview'] = 422
    const wrong = await shown()
    expect(wrong.textContent).toContain('This link is not right. Ask for it again.')
    expect(wrong.querySelector('button')).toBeNull()
    linkEnds('#half')
    expect((await shown()).textContent).toContain('This link is not complete. Ask for it again.')
    linkEnds(`#${'A'.repeat(43)}`)
    answers['preview'] = 503
    const page = await shown()
    expect(page.textContent).toContain('It can’t be opened right now. Try again in a minute.')
    expect(page.querySelector('[role=alert] h1')).not.toBeNull()
  })

  it.each([
    ['es-ES', refusal('nothing is opened for 203.0.113.24, because', 'invitation_nowhere', { address: '203.0.113.24' }),
      'No se abre nada para 203.0.113.24, por el lugar donde está.', ''],
    ['es', refusal('this invitation is not for guests', 'invitation_from'), 'Esta invitación no es para invitados de donde estás.', ''],
    ['es', refusal('22/tcp is used by the router itself', 'core_port_used', { port: '22', transport: 'tcp' }),
      'El propio router usa el puerto 22. Díselo a quien te invitó.', ''],
    ['es', refusal('is something new', 'new_code'), 'is something new', 'en'],
    ['es', refusal('has no name'), 'has no name', 'en'],
    ['en', refusal('nothing is opened for you', 'invitation_nowhere', { address: 'you' }), 'nothing is opened for you', 'en'],
  ])('says in the guest’s language, %s, why nothing was opened', async (language, answer, text, lang) => {
    vi.spyOn(navigator, 'languages', 'get').mockReturnValue([language])
    answers['redeem'] = answer
    const root = await shown()
    root.querySelector('button')?.click()
    await vi.waitFor(() => expect(root.querySelector('p[role=alert]')?.textContent).toBe(text), 20_000)
    expect(root.querySelector<HTMLElement>('p[role=alert]')?.lang).toBe(lang)
  })

  it('leaves no place open in what it says of refusals', () => {
    const { components } = JSON.parse(readFileSync('../spec/openapi.json', 'utf8')) as Document
    const said = components.schemas.ErrorDetail.properties.code['x-ownline-sentences']
    const refusals = Object.entries(wordsFor(['es']).words.refusals)
    expect(refusals.length).toBeGreaterThan(10)
    for (const [code, words] of refusals) {
      const open = words?.match(/\{[a-z]+\}/g)?.filter((place) => !said[code]?.includes(place))
      expect([code, open ?? []]).toEqual([code, []])
    }
  })
})
