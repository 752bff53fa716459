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

export type PairingFailure = 'old' | 'used' | 'silent' | 'wrongKey' | 'other'

/**
 * Why pairing failed. Of a code that it refuses core tells in words alone; internal/core and
 * internal/web/sites have tests that hold them to these.
 */
export function pairingFailure(problem: Problem): PairingFailure {
  if (problem.status === 503) return 'silent'
  const about = problem.fields.find(({ field }) => field === 'code')?.message ?? ''
  if (/has not the key of the code/.test(about)) return 'wrongKey'
  if (/older than 10 minutes/.test(about)) return 'old'
  if (/used already|not the newest/.test(about)) return 'used'
  return 'other'
}
