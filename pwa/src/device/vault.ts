/**
 * A device as it rests in the browser. Its secret is sealed under a key that only a passphrase or a
 * passkey gives; the rest, brokers and services, under a key of its own that is sealed with the
 * secret. So "keep unlocked" needs keys alone that nobody can read out: never the secret.
 */
import { base64url, type Bytes, fromBase64url, joined, random, utf8 } from '@/sealed/bytes'
import { knockKeys } from '@/sealed/knock'
import type { Keys } from '@/sealed/packet'
import { BadProfile, type Broker, type Profile } from './profile'

export const rounds = 600_000
export const leastPassphrase = 10
const nonceSize = 12

/** How the key is made that opens the secret. */
export type Method =
  | { kind: 'passphrase'; salt: Bytes; rounds: number }
  | { kind: 'passkey'; salt: Bytes; credential: Bytes }

/** A service that the device opens by itself, as last seen. */
export interface Remembered {
  name: string
  address: string
  url?: string
}

/** What is worth hiding, but is no secret. */
export interface Rest {
  host: string
  broker: Broker
  addresses: string[]
  services: Remembered[]
  /** When the services were seen, in Unix milliseconds. */
  seen?: number
}

/** Keys that can be used, but not read out. */
export interface Opened {
  keys: Keys
  rest: CryptoKey
}

export interface StoredDevice {
  device: string
  site: string
  name: string
  method: Method
  secret: Bytes
  rest: Bytes
  /** While it is kept unlocked. */
  kept?: Opened
}

/** The passphrase, or the passkey, is another one. */
export class WrongKey extends Error {}

/** The key of a passphrase. */
export async function passphraseKey(passphrase: string, method: Extract<Method, { kind: 'passphrase' }>): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', utf8(passphrase.normalize('NFKC')), 'PBKDF2', false, ['deriveKey'])
  const how = { name: 'PBKDF2', hash: 'SHA-256', salt: method.salt, iterations: method.rounds }
  return crypto.subtle.deriveKey(how, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

/** The key of what a passkey answers (the extension PRF of WebAuthn). */
export async function passkeyKey(answer: Bytes): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', answer, 'HKDF', false, ['deriveKey'])
  const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: utf8('ownline/pwa/v1/passkey') }
  return crypto.subtle.deriveKey(how, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

function restKey(raw: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt'])
}

/** Seals a value for one purpose of one device: elsewhere it does not open. */
async function seal(key: CryptoKey, purpose: string, device: string, value: unknown): Promise<Bytes> {
  const iv = random(nonceSize)
  const additionalData = utf8(`ownline/pwa/v1/${purpose}/${device}`)
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, key, utf8(JSON.stringify(value)))
  return joined(iv, new Uint8Array(sealed))
}

async function open(key: CryptoKey, purpose: string, device: string, sealed: Bytes): Promise<unknown> {
  const additionalData = utf8(`ownline/pwa/v1/${purpose}/${device}`)
  try {
    const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: sealed.slice(0, nonceSize), additionalData }, key, sealed.slice(nonceSize))
    return JSON.parse(new TextDecoder().decode(plain))
  } catch {
    throw new WrongKey()
  }
}

/** Seals a profile under a key that the method makes. */
export async function store(profile: Profile, method: Method, key: CryptoKey): Promise<{ stored: StoredDevice; opened: Opened }> {
  const raw = random(32)
  const keys = await knockKeys(profile.key, profile.site)
  if (keys === undefined) throw new BadProfile('damaged')
  const opened = { keys, rest: await restKey(raw) }
  const { device, site, name, host, broker, addresses } = profile
  const rest: Rest = { host, broker, addresses, services: [] }
  const stored = {
    device,
    site,
    name,
    method,
    secret: await seal(key, 'secret', device, { key: base64url(profile.key), rest: base64url(raw) }),
    rest: await sealRest(opened, device, rest),
  }
  return { stored, opened }
}

/** Opens the secret for the keys; throws WrongKey. */
export async function unlock(stored: StoredDevice, key: CryptoKey): Promise<Opened> {
  const secret = (await open(key, 'secret', stored.device, stored.secret)) as { key: string; rest: string }
  const raw = fromBase64url(secret.rest)
  const own = fromBase64url(secret.key)
  const keys = own && (await knockKeys(own, stored.site))
  if (raw === undefined || keys === undefined) throw new WrongKey()
  return { keys, rest: await restKey(raw) }
}

export async function openRest(opened: Opened, stored: StoredDevice): Promise<Rest> {
  return (await open(opened.rest, 'rest', stored.device, stored.rest)) as Rest
}

export function sealRest(opened: Opened, device: string, rest: Rest): Promise<Bytes> {
  return seal(opened.rest, 'rest', device, rest)
}
