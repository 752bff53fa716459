/** The knock of spec/knock-v1.md: a device asks its site to let an address in. */
import { addressBytes, addressText } from './address'
import { type Bytes, uuidBytes } from './bytes'
import { deriveKeys, type Keys, openAnswer, plaintext, seal } from './packet'

export const knockSize = 128
/** The end of the year 9999, in Unix milliseconds. */
const lastTime = 253_402_300_799_999

export interface Knock {
  nonce: Bytes
  /** Unix milliseconds. */
  time: number
  /** The public address to let in. */
  claimed?: string
  answerWanted?: boolean
  /** Identifier of one service; absent: every one that is granted automatically. */
  service?: string
  /** Seconds; absent: the default. */
  duration?: number
}

const statuses = ['opened', 'renewed', 'nothing', 'refused', 'inside'] as const

export interface Answer {
  status: (typeof statuses)[number]
  /** How many sessions are live because of the knock. */
  sessions: number
  /** Ownline's clock, in Unix milliseconds. */
  time: number
  /** The address as Ownline saw it. */
  source?: string
  /** When the first session ends, in Unix milliseconds. */
  expires?: number
}

/** The keys of a device; undefined when the site is no identifier. */
export async function knockKeys(secret: Bytes, site: string): Promise<Keys | undefined> {
  const salt = uuidBytes(site)
  return salt && deriveKeys(secret, salt, 'ownline/knock/v1')
}

/** Makes the packet; throws a RangeError where the format has no room for a value. */
export async function sealKnock(keys: Keys, knock: Knock): Promise<Bytes> {
  const { bytes, view } = plaintext(knockSize)
  if (!(knock.time >= 0 && knock.time <= lastTime)) throw new RangeError('time')
  view.setUint8(0, 1)
  view.setBigUint64(4, BigInt(Math.floor(knock.time)))
  let flags = knock.answerWanted ? 2 : 0
  if (knock.claimed !== undefined) {
    const source = addressBytes(knock.claimed)
    const unspecified = source?.every((b, i) => b === 0 || ((i === 10 || i === 11) && b === 0xff))
    if (source === undefined || unspecified) throw new RangeError('claimed')
    flags |= 1
    bytes.set(source, 12)
  }
  view.setUint8(1, flags)
  if (knock.service !== undefined) {
    const service = uuidBytes(knock.service)
    if (service === undefined) throw new RangeError('service')
    bytes.set(service, 28)
  }
  view.setUint32(44, knock.duration ?? 0)
  return seal(keys, knock.time, knock.nonce, bytes)
}

/** Opens the answer to the knock with that nonce; undefined when it is none. */
export async function openKnockAnswer(keys: Keys, message: Uint8Array, asked: Bytes): Promise<Answer | undefined> {
  const plain = await openAnswer(keys, message, knockSize, asked)
  if (plain === undefined) return undefined
  const view = new DataView(plain.buffer)
  const status = statuses[view.getUint8(1) - 1]
  const time = Number(view.getBigUint64(4))
  const expires = Number(view.getBigUint64(28))
  const rest = plain.subarray(36)
  if (view.getUint8(0) !== 1 || status === undefined || time > lastTime || expires > lastTime || rest.some((b) => b !== 0)) return undefined
  const source = plain.slice(12, 28)
  return {
    status,
    sessions: view.getUint16(2),
    time,
    ...(source.some((b) => b !== 0) && { source: addressText(source) }),
    ...(expires !== 0 && { expires }),
  }
}
