// @vitest-environment node
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Bytes } from '../../src/sealed/bytes'
import { answerTopic, hintOf } from '../../src/sealed/packet'
import { deriveKeys, openReply, parseSecret, sealAsk } from './sealed'

interface Vectors {
  keys: { secret: string; epoch: number; hint: string; nonce: string; answer_topic: string }
  asks: { name: string; message: string; accept: boolean; kind?: number; nonce?: string; time_ms?: number; source?: string }[]
  replies: { name: string; asked_nonce: string; message: string; accept: boolean; reply?: unknown }[]
}

const vectors = JSON.parse(readFileSync(new URL('../../../spec/vectors/invitation-v1.json', import.meta.url), 'utf8')) as Vectors

function unhex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (b) => parseInt(b, 16))
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('')
}

const keys = deriveKeys(parseSecret(vectors.keys.secret) as Bytes)

describe('spec/vectors/invitation-v1.json', () => {
  it('has the keys', async () => {
    expect(hex(await hintOf(await keys, vectors.keys.epoch * 600_000))).toBe(vectors.keys.hint)
    expect(await answerTopic(await keys, unhex(vectors.keys.nonce))).toBe(vectors.keys.answer_topic)
  })

  const good = vectors.asks.filter((v) => v.accept)
  it.each(good)('seals: $name', async (v) => {
    const ask = { kind: v.kind === 1 ? 'show' : 'redeem', time: v.time_ms ?? 0, source: v.source ?? '', nonce: unhex(v.nonce ?? '') } as const
    expect(hex(await sealAsk(await keys, ask))).toBe(v.message)
  })

  it.each(vectors.replies)('opens or refuses: $name', async (v) => {
    const reply = await openReply(await keys, unhex(v.message), unhex(v.asked_nonce))
    expect(reply).toEqual(v.accept ? v.reply : undefined)
  })

  it('is not empty', () => {
    expect(good.length).toBeGreaterThan(2)
    expect(vectors.replies.length).toBeGreaterThan(8)
  })
})

describe('secrets', () => {
  it.each(['', 'short', `${vectors.keys.secret}A`, vectors.keys.secret.slice(1), `${vectors.keys.secret.slice(0, 42)}x`, `${vectors.keys.secret.slice(0, 42)}!`])('refuses %j', (text) =>
    expect(parseSecret(text)).toBeUndefined(),
  )
})
