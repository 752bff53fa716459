/**
 * What the knock (spec/knock-v1.md) and the invitation (spec/invitation-v1.md) have in common, by
 * WebCrypto alone: the keys, how a message begins, how it is sealed, and where its answer comes.
 */
import { base64url, type Bytes, joined, utf8 } from './bytes'

const hintSize = 8
export const nonceSize = 12
const tagSize = 16
const epochSeconds = 600

/** None of them can be read out, so they may be kept. */
export interface Keys {
  seal: CryptoKey
  hint: CryptoKey
  answer: CryptoKey
  tag: CryptoKey
}

/** Derives the keys of a format, like ownline/knock/v1. */
export async function deriveKeys(secret: Bytes, salt: Bytes, format: string): Promise<Keys> {
  const base = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits'])
  const derive = async (name: string): Promise<ArrayBuffer> =>
    crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info: utf8(`${format}/${name}`) }, base, 256)
  const answer = await derive('answer')
  return {
    seal: await gcmKey(await derive('seal'), ['encrypt']),
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

async function hmac(key: CryptoKey, data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, data))
}

/** How messages of the ten minutes around a time (Unix milliseconds) begin. */
export async function hintOf(keys: Keys, time: number): Promise<Bytes> {
  const epoch = new Uint8Array(8)
  new DataView(epoch.buffer).setBigUint64(0, BigInt(Math.max(0, Math.floor(time / 1000 / epochSeconds))))
  return (await hmac(keys.hint, epoch)).slice(0, hintSize)
}

/** The plaintext of a message of that size, all zero. */
export function plaintext(size: number): { bytes: Bytes; view: DataView } {
  const bytes = new Uint8Array(size - hintSize - nonceSize - tagSize)
  return { bytes, view: new DataView(bytes.buffer) }
}

/** Seals a plaintext. A nonce must never be used twice. */
export async function seal(keys: Keys, time: number, nonce: Bytes, plain: Bytes): Promise<Bytes> {
  const hint = await hintOf(keys, time)
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce, additionalData: hint }, keys.seal, plain)
  return joined(hint, nonce, new Uint8Array(sealed))
}

/** The plaintext of the answer to the message with that nonce; undefined when it is none. */
export async function openAnswer(keys: Keys, message: Uint8Array, size: number, asked: Bytes): Promise<Bytes | undefined> {
  const bytes = new Uint8Array(message)
  const tag = (await hmac(keys.tag, asked)).slice(0, hintSize)
  if (bytes.length !== size || tag.some((b, i) => b !== bytes[i])) return undefined
  const iv = bytes.slice(hintSize, hintSize + nonceSize)
  try {
    const sealed = bytes.slice(hintSize + nonceSize)
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData: tag }, keys.answer, sealed))
  } catch {
    return undefined
  }
}

/** Where the answer to the message with that nonce is published. */
export async function answerTopic(keys: Keys, nonce: Bytes): Promise<string> {
  return `ownline/answer/${base64url((await hmac(keys.tag, joined(utf8('topic'), nonce))).slice(0, 16))}`
}
