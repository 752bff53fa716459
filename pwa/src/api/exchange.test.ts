import { beforeEach, expect, it, vi } from 'vitest'
import { BrokerTrouble, exchange } from './exchange'

const connectAsync = vi.hoisted(() => vi.fn<(url: string, options: { protocolVersion: number }, retries: boolean) => Promise<unknown>>())
vi.mock('mqtt', () => ({ default: { connectAsync } }))

/** A broker that does as it is told, and calls listeners by hand. */
function client() {
  const listeners: Record<string, ((...args: unknown[]) => void)[]> = {}
  return {
    on: (name: string, listener: () => void) => (listeners[name] ??= []).push(listener),
    emit: (name: string, ...args: unknown[]) => listeners[name]?.forEach((listener) => listener(...args)),
    subscribeAsync: vi.fn<(topic: string) => Promise<void>>(async () => {}),
    publishAsync: vi.fn<(topic: string, payload: Uint8Array) => Promise<void>>(async () => {}),
    endAsync: vi.fn<(force: boolean) => Promise<void>>(async () => {}),
  }
}

const broker = { url: 'wss://b.example.org', username: 'phone', password: 'x' }
const message = { payload: new Uint8Array([1]), answerTopic: 'ownline/answer/x' }
const all = async () => true

beforeEach(() => {
  connectAsync.mockReset()
})

it.each([
  ['refused', { code: 135 }],
  ['refused', { code: 4 }],
  ['refused', { code: 5 }],
  ['away', { code: 136 }],
  ['away', { code: 'ECONNREFUSED' }],
  ['away', new Error("Couldn't connect to server")],
])('says %s of a broker that answers %o', async (trouble, error) => {
  connectAsync.mockImplementation(() => Promise.reject(error))
  const thrown = await exchange(broker, 't', [message], all).catch((e: unknown) => e)
  expect(thrown).toEqual(new BrokerTrouble(trouble as 'away'))
  expect(connectAsync).toHaveBeenCalledOnce()
  expect(connectAsync.mock.lastCall?.[2]).toBe(false) // else what can't be reached is waited for
})

it.each([1, 132])('speaks MQTT 3.1.1 where 5 is answered by %i', async (code) => {
  const c = client()
  connectAsync.mockRejectedValueOnce({ code }).mockResolvedValueOnce(c)
  c.publishAsync.mockImplementation(async () => c.emit('message', 'ownline/answer/x', new Uint8Array([2])))
  await exchange(broker, 't', [message], all)
  expect(connectAsync.mock.calls.map((call) => call[1].protocolVersion)).toEqual([5, 4])
})

it('listens before it publishes, takes answers to its own topics alone, and hangs up', async () => {
  const c = client()
  connectAsync.mockResolvedValue(c)
  const order: string[] = []
  c.subscribeAsync.mockImplementation(async (topic) => void order.push(topic))
  c.publishAsync.mockImplementation(async (topic) => {
    order.push(topic)
    c.emit('message', 'ownline/answer/other', new Uint8Array([3]))
    c.emit('message', 'ownline/answer/x', new Uint8Array([2]))
  })
  const got: number[] = []
  await exchange(broker, 't', [message], async (answer) => got.push(answer[0] ?? 0) > 0, () => order.push('taken'))
  expect([order, got]).toEqual([['ownline/answer/x', 't', 'taken'], [2]])
  expect(c.endAsync).toHaveBeenCalledWith(true)
})

it('ends when nobody answers, and says when the broker hangs up', async () => {
  const c = client()
  connectAsync.mockResolvedValue(c)
  await exchange(broker, 't', [message], all, () => {}, 5)
  c.publishAsync.mockImplementation(async () => c.emit('close'))
  await expect(exchange(broker, 't', [message], all)).rejects.toEqual(new BrokerTrouble('away'))
  c.publishAsync.mockRejectedValue({ code: 135 }) // it may not publish there
  await expect(exchange(broker, 't', [message], all)).rejects.toEqual(new BrokerTrouble('refused'))
})
