/** A device's profile: the URI that Ownline shows once, with all that is needed to knock. */
import { type Bytes, fromBase64url, uuidBytes } from '@/sealed/bytes'

const longest = 8 << 10
const defaultTopic = 'ownline/knock'

export interface Broker {
  url: string
  topic: string
  username?: string
  password?: string
}

export interface Profile {
  /** Where the site is, in its owner's words. */
  host: string
  site: string
  device: string
  key: Bytes
  name: string
  broker: Broker
  /** What tells the device its public address: https:// or stun:HOST:PORT. */
  addresses: string[]
}

/** Why a text is no profile that a browser can use. The names are those of the words that say it. */
export type Flaw = 'noProfile' | 'version' | 'damaged' | 'noBroker' | 'noWebSocket'

export class BadProfile extends Error {
  constructor(readonly flaw: Flaw) {
    super(flaw)
  }
}

/** A code that is whole, but of another Ownline: this one's pages may not speak to its broker. */
export class OtherOwnline extends Error {
  constructor(readonly host: string) {
    super(host)
  }
}

function given(query: URLSearchParams, name: string): string {
  return query.get(name) ?? ''
}

/** Reads an address of any scheme: not every browser finds a host in one that it does not know. */
const readURL = (text: string) => new URL(text.replace(/^[a-z]+:/, 'https:'))

/** Where the device of a profile that the server has made knocks: by UDP, and through which broker, if any. */
export function waysOf(profile: string): { udp: string; broker: string | undefined } {
  const { host, searchParams } = readURL(profile)
  const broker = searchParams.get('mqtt')
  return { udp: host, broker: broker ? readURL(broker).host : undefined }
}

/** Reads ownline://HOST:PORT/?v=1&…; throws a BadProfile. */
export function parseProfile(text: string): Profile {
  const trimmed = text.trim()
  if (trimmed.length > longest || !trimmed.startsWith('ownline://')) throw new BadProfile('noProfile')
  let url: URL
  try {
    url = readURL(trimmed)
  } catch {
    throw new BadProfile('damaged')
  }
  const query = url.searchParams
  // What is cut off says nothing of its version.
  const version = given(query, 'v')
  if (version !== '1') throw new BadProfile(version ? 'version' : 'damaged')
  const key = fromBase64url(given(query, 'key'))
  const site = given(query, 'site')
  const device = given(query, 'device')
  if (url.hostname === '' || key?.length !== 32 || !uuidBytes(site) || !uuidBytes(device)) throw new BadProfile('damaged')
  const broker = given(query, 'mqtt')
  if (broker === '') throw new BadProfile('noBroker')
  if (!/^wss?:\/\/[^/@]+(\/[^@]*)?$/.test(broker)) throw new BadProfile('noWebSocket')
  const username = given(query, 'user')
  const password = given(query, 'password')
  return {
    host: url.hostname,
    site,
    device,
    key,
    name: given(query, 'name'),
    broker: {
      url: broker,
      topic: given(query, 'topic') || defaultTopic,
      ...(username && { username }),
      ...(password && { password }),
    },
    addresses: query.getAll('address').filter((a) => /^(https:\/\/|stun:)/.test(a)),
  }
}
