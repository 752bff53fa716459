/** Sealed messages and their answers through an MQTT broker, over WebSocket. */
import type { MqttClient } from 'mqtt'

export interface Broker {
  /** ws:// or wss:// */
  url: string
  username?: string | undefined
  password?: string | undefined
}

/** Why there was no exchange: the broker did not let us in, or can't be reached. */
export class BrokerTrouble extends Error {
  constructor(readonly trouble: 'refused' | 'away') {
    super(trouble)
  }
}

/** The reason codes by which a broker says that it does not know us, of MQTT 3.1.1 and 5. */
const refusals = new Set([4, 5, 0x86, 0x87, 0x8c])
/** Those by which it says that it does not speak MQTT 5. */
const oldVersion = new Set([1, 0x84])
const patience = 12_000

function codeOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'number' ? code : undefined
}

async function connect(broker: Broker, version: 4 | 5): Promise<MqttClient> {
  const { connectAsync } = (await import('mqtt')).default
  const options = {
    protocolVersion: version,
    reconnectPeriod: 0,
    // The other variant starts a worker from a blob:, which the page's policy does not allow.
    timerVariant: 'native',
    connectTimeout: patience,
    ...(broker.username && { username: broker.username }),
    ...(broker.password && { password: broker.password }),
  } as const
  // Without retries: else nothing is told of a connection that can't be made.
  return connectAsync(broker.url, options, false)
}

function asTrouble(error: unknown): BrokerTrouble {
  if (error instanceof BrokerTrouble) return error
  return new BrokerTrouble(refusals.has(codeOf(error) ?? -1) ? 'refused' : 'away')
}

async function connectAny(broker: Broker): Promise<MqttClient> {
  try {
    return await connect(broker, 5)
  } catch (error) {
    if (!oldVersion.has(codeOf(error) ?? -1)) throw error
    return connect(broker, 4)
  }
}

export interface Message {
  payload: Uint8Array
  /** Where its answer is published. */
  answerTopic: string
}

/**
 * Publishes messages and gives every answer to take, until that returns true or the time is over.
 * taken is called once the broker has all messages. Throws a BrokerTrouble.
 */
export async function exchange(
  broker: Broker,
  topic: string,
  messages: Message[],
  take: (answer: Uint8Array, of: Message) => Promise<boolean>,
  taken: () => void = () => {},
  wait = patience,
): Promise<void> {
  let client: MqttClient
  try {
    client = await connectAny(broker)
  } catch (error) {
    throw asTrouble(error)
  }
  try {
    const answered = new Promise<void>((resolve, reject) => {
      client.on('message', (to, payload) => {
        const message = messages.find((m) => m.answerTopic === to)
        if (message) void take(payload, message).then((done) => done && resolve(), reject)
      })
      client.on('close', () => reject(new BrokerTrouble('away')))
    })
    answered.catch(() => {}) // it is waited for below, if we get there
    for (const { answerTopic } of messages) await client.subscribeAsync(answerTopic, { qos: 1 })
    for (const { payload } of messages) await client.publishAsync(topic, payload as Buffer, { qos: 1, retain: false })
    taken()
    let timer: ReturnType<typeof setTimeout> | undefined
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, wait)))
    await Promise.race([answered, over])
    clearTimeout(timer)
  } catch (error) {
    throw asTrouble(error)
  } finally {
    await client.endAsync(true)
  }
}
