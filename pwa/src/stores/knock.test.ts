import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { publicAddresses } from '@/api/addresses'
import { BrokerTrouble, exchange, type Message } from '@/api/exchange'
import { reach } from '@/api/reach'
import type { Answer } from '@/sealed/knock'
import * as sealed from '@/sealed/knock'
import { random } from '@/sealed/bytes'
import { type StoredDevice, WrongKey } from '@/device/vault'
import * as shelf from '@/device/shelf'
import { useDevice } from './device'
import { useKnock } from './knock'

vi.mock('@/api/policy')
vi.mock('@/api/addresses')
vi.mock('@/api/reach')
vi.mock('@/api/exchange', async (original) => ({ ...(await original<object>()), exchange: vi.fn<typeof exchange>() }))
// A machine that tests has other things to do than to make passphrases hard to guess.
vi.mock('@/device/vault', async (original) => ({ ...(await original<object>()), rounds: 1000 }))
vi.mock('@/device/shelf', async (original) => ({ ...(await original<object>()), read: vi.fn<typeof shelf.read>(), write: vi.fn<typeof shelf.write>(), wipe: vi.fn<typeof shelf.wipe>() }))

const site = '0192f0c0-de00-7000-8000-000000000001'
const device = '0192f0c0-de00-7000-8000-000000000002'
const code = `ownline://home.example.org:54754/?v=1&site=${site}&device=${device}&key=${'A'.repeat(43)}&name=phone&mqtt=wss%3A%2F%2Fb.example.org&address=https%3A%2F%2Fa.example.org%2F`

function online(is: boolean): void {
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(is)
}

async function enrolled(): Promise<ReturnType<typeof useKnock>> {
  await useDevice().offer(code)
  await useDevice().protect({ passphrase: 'correct horse' })
  return useKnock()
}

beforeEach(() => {
  setActivePinia(createPinia())
  online(true)
  vi.mocked(publicAddresses).mockResolvedValue(['198.51.100.7', '198.51.100.8', '2001:db8::1'])
  vi.mocked(reach).mockResolvedValue('out')
})
afterEach(() => vi.restoreAllMocks())

describe('a knock', () => {
  const good: Answer = { status: 'opened', sessions: 2, time: Date.now(), source: '198.51.100.7', expires: Date.now() + 60_000 }

  it('goes out for an address of each family, and tells what came back', async () => {
    const knock = await enrolled()
    vi.spyOn(sealed, 'openKnockAnswer').mockResolvedValueOnce({ ...good, sessions: 0, status: 'nothing' }).mockResolvedValueOnce(good)
    vi.mocked(exchange).mockImplementation(async (_, topic, messages, take, taken) => {
      expect(topic).toBe('ownline/knock')
      expect(messages.map((m) => m.payload.length)).toEqual([128, 128])
      expect(new Set(messages.map((m) => m.answerTopic)).size).toBe(2)
      taken?.()
      expect(await take(random(128), messages[1] as Message)).toBe(false)
      expect(await take(random(128), messages[0] as Message)).toBe(true)
    })
    await knock.knock()
    expect(knock.done).toEqual(['address', 'sealed', 'taken', 'answer'])
    expect(knock.answer).toEqual(good)
    await vi.waitFor(() => expect(knock.reached).toBe('out'))
    expect(knock.trouble).toBeUndefined()
  })

  it.each([
    ['refused', new BrokerTrouble('refused')],
    ['away', new BrokerTrouble('away')],
    ['failed', new Error('x')],
  ] as const)('that fails says %s', async (trouble, error) => {
    const knock = await enrolled()
    vi.mocked(exchange).mockRejectedValue(error)
    await knock.knock()
    expect([knock.trouble, knock.doing, knock.done]).toEqual([trouble, undefined, ['address', 'sealed']])
  })

  it('says when the page may not speak to the broker', async () => {
    const knock = await enrolled()
    vi.mocked(exchange).mockImplementation(async () => {
      document.dispatchEvent(Object.assign(new Event('securitypolicyviolation'), { effectiveDirective: 'connect-src' }))
      throw new BrokerTrouble('away')
    })
    await knock.knock()
    expect(knock.trouble).toBe('otherSite')
  })

  it('needs the internet', async () => {
    const knock = await enrolled()
    online(false)
    await knock.knock()
    expect(knock.trouble).toBe('offline')
    expect(exchange).not.toHaveBeenCalled()
  })

  it('needs an address, which can be typed', async () => {
    const knock = await enrolled()
    vi.mocked(publicAddresses).mockResolvedValue([])
    await knock.knock()
    expect([knock.trouble, knock.lost]).toEqual(['noAddress', true])
    expect(knock.type('home.example.org')).toBe('none')
    expect(knock.type('10.0.0.1')).toBe('inner')
    expect(knock.addresses).toEqual([])
    expect(knock.type('203.0.113.24')).toBeUndefined()
    await knock.knock()
    expect(exchange).toHaveBeenCalledOnce()
  })

  it('that nobody answers leaves the last step open', async () => {
    const knock = await enrolled()
    vi.mocked(reach).mockResolvedValue(undefined)
    vi.mocked(exchange).mockImplementation(async (_, _topic, _messages, _take, taken) => taken?.())
    await knock.knock()
    await vi.waitFor(() => expect(knock.busy).toBe(false))
    expect([knock.done, knock.answer, knock.reached]).toEqual([['address', 'sealed', 'taken'], undefined, undefined])
  })
})

describe('the device', () => {
  it('is locked after a reload, unless it is kept', async () => {
    await enrolled()
    let kept: StoredDevice | undefined
    const reload = async () => {
      kept = vi.mocked(shelf.write).mock.lastCall?.[0]
      vi.mocked(shelf.read).mockResolvedValue(kept)
      setActivePinia(createPinia())
      await useDevice().load()
      return useDevice()
    }
    let again = await reload()
    expect([again.state, again.name, again.rest]).toEqual(['locked', 'phone', undefined])
    await expect(again.unlock('correct horsf')).rejects.toThrow(WrongKey)
    expect(again.state).toBe('locked')
    await again.unlock('correct horse')
    expect([again.state, again.rest?.host]).toEqual(['unlocked', 'home.example.org'])
    await again.keep(true)
    again = await reload()
    expect(again.state).toBe('unlocked')
    await again.lock()
    again = await reload()
    expect(again.state).toBe('locked')
  })

  it('is one: another has to wait until it is forgotten', async () => {
    await enrolled()
    const here = useDevice()
    expect(await here.offer(code.replace(device, site))).toEqual({ site: 'same', name: 'phone' })
    expect(await here.offer(code.replace(device, site).replace(`site=${site}`, `site=${device}`))).toEqual({ site: 'other', name: 'phone' })
    expect(here.state).toBe('unlocked')
    expect(await here.offer(code)).toBeUndefined() // a rotated key
    here.refuse()
    await here.forget()
    expect([here.state, vi.mocked(shelf.wipe).mock.calls.length]).toEqual(['none', 1])
    expect(await here.offer(code.replace(device, site))).toBeUndefined()
  })

  it('stays offered when the browser has no room', async () => {
    vi.mocked(shelf.write).mockRejectedValueOnce(new shelf.ShelfFull())
    const here = useDevice()
    await here.offer(code)
    await expect(here.protect({ passphrase: 'correct horse' })).rejects.toThrow(shelf.ShelfFull)
    expect(here.state).toBe('offered')
  })
})
