/** The sealed messages of spec/invitation-v1.md, by WebCrypto alone. */

export const askSize = 128
export const replySize = 2048
const hintSize = 8
const nonceSize = 12
const epochSeconds = 600

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
  detail?: string
  time: number
  host?: string
  service?: string
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
}

export type Bytes = Uint8Array<ArrayBuffer>

export interface Keys {
  seal: CryptoKey
  hint: CryptoKey
  answer: CryptoKey
  tag: CryptoKey
}

/** The 32 bytes behind the # of a link; undefined when they are not that. */
export function parseSecret(text: string): Bytes | undefined {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) return undefined
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/') + '='), (c) => c.charCodeAt(0))
  return base64url(bytes) === text ? bytes : undefined
}

export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

export async function deriveKeys(secret: Bytes): Promise<Keys> {
  const base = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits'])
  const derive = async (name: string): Promise<ArrayBuffer> =>
    crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: utf8(`ownline/invitation/v1/${name}`) }, base, 256)
  const answer = await derive('answer')
  return {
    seal: await gcmKey(await derive('seal'), ['encrypt', 'decrypt']),
    hint: await hmacKey(await derive('hint')),
    answer: await gcmKey(answer, ['decrypt']),
    tag: await hmacKey(answer),
  }
}

async function gcmKey(raw: ArrayBuffer, use: KeyUsage[]): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', raw, 'AES-GCM', false, use)
}

async function hmacKey(raw: ArrayBuffer): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
}

export async function sealAsk(keys: Keys, ask: Ask): Promise<Bytes> {
  const source = addressBytes(ask.source)
  if (source === undefined) throw new Error('not an address')
  const plain = new Uint8Array(askSize - hintSize - nonceSize - 16)
  const view = new DataView(plain.buffer)
  plain[0] = 1
  plain[1] = ask.kind === 'show' ? 1 : 2
  view.setBigUint64(4, BigInt(ask.time))
  plain.set(source, 12)
  const hint = await hintOf(keys, ask.time)
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: ask.nonce, additionalData: hint }, keys.seal, plain)
  return joined(hint, ask.nonce, new Uint8Array(sealed))
}

/** Opens the reply to the ask with that nonce; undefined when it is none. */
export async function openReply(keys: Keys, message: Uint8Array, asked: Bytes): Promise<Reply | undefined> {
  const bytes = new Uint8Array(message)
  const tag = (await hmac(keys.tag, asked)).slice(0, hintSize)
  if (bytes.length !== replySize || tag.some((b, i) => b !== bytes[i])) return undefined
  try {
    const iv = bytes.slice(hintSize, hintSize + nonceSize)
    const plain = new Uint8Array(
      await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData: tag }, keys.answer, bytes.slice(hintSize + nonceSize)),
    )
    const end = 2 + new DataView(plain.buffer).getUint16(0)
    if (end > plain.length || plain.slice(end).some((b) => b !== 0)) return undefined
    const reply: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plain.slice(2, end)))
    return typeof reply === 'object' && reply !== null && 'status' in reply ? (reply as Reply) : undefined
  } catch {
    return undefined
  }
}

/** Where the reply to the ask with that nonce is published. */
export async function answerTopic(keys: Keys, nonce: Bytes): Promise<string> {
  return `ownline/answer/${base64url((await hmac(keys.tag, joined(utf8('topic'), nonce))).slice(0, 16))}`
}

export async function hintOf(keys: Keys, time: number): Promise<Bytes> {
  const epoch = new Uint8Array(8)
  new DataView(epoch.buffer).setBigUint64(0, BigInt(Math.floor(time / 1000 / epochSeconds)))
  return (await hmac(keys.hint, epoch)).slice(0, hintSize)
}

async function hmac(key: CryptoKey, data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, data))
}

function utf8(text: string): Bytes {
  return new Uint8Array(new TextEncoder().encode(text))
}

function joined(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const p of parts) {
    out.set(p, at)
    at += p.length
  }
  return out
}

function groups(half: string | undefined): string[] {
  return half === undefined || half === '' ? [] : half.split(':')
}

/** The 16 bytes of an address, IPv4 as ::ffff:a.b.c.d; undefined when it is none. */
export function addressBytes(text: string): Bytes | undefined {
  const out = new Uint8Array(16)
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (four) {
    const parts = four.slice(1).map(Number)
    if (parts.some((n) => n > 255)) return undefined
    out.set([0xff, 0xff, ...parts], 10)
    return out
  }
  if (!/^[0-9a-fA-F:]{2,39}$/.test(text)) return undefined
  const halves = text.split('::')
  const head = groups(halves[0])
  const tail = groups(halves[1])
  const count = head.length + tail.length
  if (halves.length > 2 || (halves.length === 1 ? count !== 8 : count > 7)) return undefined
  const all = [...head, ...Array<string>(8 - count).fill('0'), ...tail]
  if (all.some((g) => !/^[0-9a-fA-F]{1,4}$/.test(g))) return undefined
  const view = new DataView(out.buffer)
  all.forEach((g, i) => view.setUint16(2 * i, parseInt(g, 16)))
  return out
}
