import type { Problem } from '@/api/problem'

/** What stands in the line that `ownline-core pair` prints. */
export interface PairingCode {
  /** Where the core listens; "" when it dials. */
  at: string
  /** Names its key. */
  pin: string
}

/** Reads a pairing line; undefined if it is none, or not whole. */
export function readCode(line: string): PairingCode | undefined {
  const found = /^ownline-core:\/\/([^/?#]+)\?([^#]+)$/.exec(line.trim())
  if (!found?.[1] || !found[2]) return undefined
  const query = new URLSearchParams(found[2])
  const pin = query.get('pin') ?? ''
  if (!/^[A-Za-z0-9_-]{43}$/.test(pin) || !query.get('token')) return undefined
  return { at: found[1] === 'dial' ? '' : found[1], pin }
}

/** A key's fingerprint in groups, to be compared by eye. */
export function fingerprint(pin: string): string {
  return pin.match(/.{1,6}/g)?.join(' ') ?? ''
}

export type PairingFailure = 'old' | 'used' | 'silent' | 'wrongKey' | 'there' | 'other'

/** Why pairing failed. */
export function pairingFailure(problem: Problem): PairingFailure {
  if (problem.status === 503) return 'silent'
  switch (problem.fields.find(({ field }) => field === 'code')?.code) {
    case 'pairing_wrong_key':
      return 'wrongKey'
    case 'pairing_old':
      return 'old'
    case 'pairing_used':
    case 'pairing_not_newest':
      return 'used'
    case 'pairing_this_site':
      return 'there'
    default:
      return 'other'
  }
}
