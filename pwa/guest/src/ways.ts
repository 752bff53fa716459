import { publicAddresses } from '../../src/api/addresses'
import { BrokerTrouble, exchange } from '../../src/api/exchange'
import { familyOf } from '../../src/sealed/address'
import { type Bytes, random } from '../../src/sealed/bytes'
import { answerTopic, nonceSize } from '../../src/sealed/packet'
import { deriveKeys, type Kind, openReply, type Reply, sealAsk } from './sealed'

/** How the page was set up by whoever serves it: config.json beside it. */
export interface Config {
  /** api: we are served by Ownline itself; mqtt: we are on another web host. */
  way: 'api' | 'mqtt'
  broker?: string
  topic?: string
  username?: string
  password?: string
  /** Services that answer with the caller's address, as text. */
  addresses?: string[]
}

/** Why there is no reply. The names are those of the words that say it. */
export type Trouble = 'unknown' | 'throttled' | 'unavailable' | 'noAnswer' | 'noAddress' | 'failed'

export class Failure extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble)
  }
}

/** A way to ask whoever decides. */
export interface Way {
  /** The public address of the guest that is asked for. */
  address(): string | undefined
  ask(kind: Kind): Promise<Reply>
  /** Where the picture of the service is, where there can be one. */
  picture?: (icon: string) => Promise<string>
  /** Ends what is open for the guest, where that can be asked for. */
  leave?: () => Promise<void>
}

/** Asks Ownline itself. The secret is in the body, which no server logs. */
export function byAPI(secret: string, fetcher: typeof fetch = fetch): Way {
  let seen: string | undefined
  let icon: string | undefined
  const pictures = new Map<string, Promise<string>>()
  const fetchPicture = async (): Promise<string> => {
    const answer = await post('icon')
    if (!answer.ok) throw new Failure(troubleOf(answer.status))
    return URL.createObjectURL(await answer.blob())
  }
  const post = async (path: string): Promise<Response> => {
    try {
      return await fetcher(`/api/v1/invitations/${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ secret }),
        referrerPolicy: 'no-referrer',
      })
    } catch {
      throw new Failure('noAnswer')
    }
  }
  const show = async (): Promise<Reply> => {
    const answer = await post('preview')
    if (!answer.ok) throw new Failure(troubleOf(answer.status))
    const v = (await answer.json()) as Preview
    seen = v.source
    icon = v.icon
    return {
      status: v.state,
      time: Date.parse(v.time),
      host: v.host,
      service: v.service,
      from: v.from,
      ...(icon === undefined ? {} : { icon }),
      ...(v.message === undefined ? {} : { message: v.message }),
      seconds: v.seconds,
      until: Date.parse(v.expires),
      left: v.left,
      families: v.families,
      ...(v.inside === undefined ? {} : { inside: v.inside }),
      ...(v.opened ? opened(v.opened) : {}),
    }
  }
  return {
    address: () => seen,
    picture(one) {
      const picture = pictures.get(one) ?? fetchPicture()
      pictures.set(one, picture)
      // What failed may come the next time.
      picture.catch(() => pictures.delete(one))
      return picture
    },
    async leave() {
      const answer = await post('leave')
      if (!answer.ok) throw new Failure(troubleOf(answer.status))
    },
    async ask(kind) {
      if (kind === 'show') return show()
      const answer = await post('redeem')
      if (answer.ok) return { ...opened((await answer.json()) as Opened), ...(icon === undefined ? {} : { icon }) }
      const problem = (await answer.json().catch(() => ({}))) as Problem
      if (answer.status === 429 || answer.status >= 500) throw new Failure(troubleOf(answer.status))
      const now = await show()
      if (now.status !== 'valid') return now
      const { message = problem.detail ?? '', code = '', params = {} } = problem.errors?.[0] ?? {}
      return { ...now, status: 'refused', detail: message, code, params }
    },
  }
}

interface Opened {
  service: string
  host: string
  port: number
  transport: string
  url?: string
  source: string
  expires: string
  time: string
}

interface Preview {
  state: 'valid' | 'used' | 'expired' | 'revoked'
  host: string
  service: string
  icon?: string
  from: string
  message?: string
  seconds: number
  left: number
  expires: string
  families: number[]
  source: string
  inside?: string
  time: string
  opened?: Opened
}

interface Problem {
  detail?: string
  errors?: { message?: string; code?: string; params?: Record<string, string> }[]
}

function opened(o: Opened): Omit<Reply, 'seconds'> {
  return {
    status: 'opened',
    time: Date.parse(o.time),
    host: o.host,
    service: o.service,
    port: o.port,
    transport: o.transport,
    ...(o.url === undefined ? {} : { url: o.url }),
    expires: Date.parse(o.expires),
    source: o.source,
  }
}

function troubleOf(status: number): Trouble {
  if (status === 422 || status === 404) return 'unknown'
  if (status === 429) return 'throttled'
  return status === 503 ? 'unavailable' : 'failed'
}

const tries = 2

/** Asks through the broker, sealed to the link. */
export async function byBroker(config: Config, secret: Bytes): Promise<Way> {
  const keys = await deriveKeys(secret)
  const addresses = await publicAddresses(config.addresses ?? [])
  if (addresses.length === 0) throw new Failure('noAddress')
  let source = addresses[0] as string
  const once = async (kind: Kind): Promise<Reply | undefined> => {
    const nonce = random(nonceSize)
    const payload = await sealAsk(keys, { kind, time: Date.now(), source, nonce })
    let reply: Reply | undefined
    try {
      await exchange(
        { url: config.broker ?? '', username: config.username, password: config.password },
        config.topic ?? '',
        [{ payload, answerTopic: await answerTopic(keys, nonce) }],
        async (answer) => (reply = await openReply(keys, answer, nonce)) !== undefined,
      )
    } catch (error) {
      if (error instanceof BrokerTrouble) throw new Failure('noAnswer')
      throw error
    }
    return reply
  }
  const ask = async (kind: Kind): Promise<Reply> => {
    for (let n = 0; n < tries; n++) {
      const reply = await once(kind)
      if (reply === undefined) continue
      // A service may be reachable by one family of addresses only.
      const fits = addresses.find((a) => reply.families?.includes(familyOf(a)))
      const isFit = reply.families?.includes(familyOf(source))
      if (kind === 'redeem' || fits === undefined || isFit === true) return reply
      source = fits
      return ask(kind)
    }
    throw new Failure('noAnswer')
  }
  return { address: () => source, ask }
}
