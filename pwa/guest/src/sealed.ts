/** The sealed messages of spec/invitation-v1.md. */
import { addressBytes } from '../../src/sealed/address'
import { type Bytes, fromBase64url } from '../../src/sealed/bytes'
import { deriveKeys as derive, type Keys, openAnswer, plaintext, seal } from '../../src/sealed/packet'

export const askSize = 128
export const replySize = 2048

export type Kind = 'show' | 'redeem'

export interface Ask {
  kind: Kind
  /** Unix milliseconds. */
  time: number
  /** The guest's public address. */
  source: string
  nonce: Bytes
}

export type Status = 'valid' | 'opened' | 'used' | 'expired' | 'revoked' | 'refused' | 'unavailable' | 'clock'

/** What web replies. Times are Unix milliseconds. */
export interface Reply {
  status: Status
  /** Of a refusal, in English. */
  detail?: string
  /** Names that sentence. */
  code?: string
  /** What is in its places. */
  params?: Record<string, string>
  time: number
  host?: string
  service?: string
  /** A built-in one's name; Ownline itself tells of pictures, too: uploaded:… */
  icon?: string
  from?: string
  message?: string
  seconds?: number
  until?: number
  left?: number
  families?: number[]
  transport?: string
  port?: number
  url?: string
  expires?: number
  source?: string
  /** Where a guest who is inside finds the service; only Ownline itself tells. */
  inside?: string
}

/** The 32 bytes behind the # of a link; undefined when they are not that. */
export function parseSecret(text: string): Bytes | undefined {
  const secret = fromBase64url(text)
  return secret?.length === 32 ? secret : undefined
}

export async function deriveKeys(secret: Bytes): Promise<Keys> {
  return derive(secret, new Uint8Array(), 'ownline/invitation/v1')
}

export async function sealAsk(keys: Keys, ask: Ask): Promise<Bytes> {
  const source = addressBytes(ask.source)
  if (source === undefined) throw new Error('not an address')
  const { bytes, view } = plaintext(askSize)
  bytes[0] = 1
  bytes[1] = ask.kind === 'show' ? 1 : 2
  view.setBigUint64(4, BigInt(ask.time))
  bytes.set(source, 12)
  return seal(keys, ask.time, ask.nonce, bytes)
}

/** Opens the reply to the ask with that nonce; undefined when it is none. */
export async function openReply(keys: Keys, message: Uint8Array, asked: Bytes): Promise<Reply | undefined> {
  const plain = await openAnswer(keys, message, replySize, asked)
  if (plain === undefined) return undefined
  const end = 2 + new DataView(plain.buffer).getUint16(0)
  if (end > plain.length || plain.subarray(end).some((b) => b !== 0)) return undefined
  try {
    const reply: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plain.slice(2, end)))
    return typeof reply === 'object' && reply !== null && 'status' in reply ? (reply as Reply) : undefined
  } catch {
    return undefined
  }
}
