// @vitest-environment node
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { addressBytes, addressText, isInner } from './address'
import { type Bytes, fromBase64url } from './bytes'
import { knockKeys, openKnockAnswer, sealKnock } from './knock'
import { answerTopic, hintOf, type Keys } from './packet'

interface Vector {
  name: string
  secret: string
  site: string
  packet: string
  accept: boolean
}

interface KnockVector extends Vector {
  time_ms: number
  epoch: number
  nonce: string
  claimed?: string
  answer_wanted?: boolean
  answer_topic: string
  service?: string
  duration_s?: number
}

interface AnswerVector extends Vector {
  asked_nonce: string
  status?: number
  sessions?: number
  time_ms?: number
  source?: string
  expires_ms?: number
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/knock-v1.json', import.meta.url), 'utf8'),
) as { knocks: KnockVector[]; answers: AnswerVector[] }

function unhex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (b) => parseInt(b, 16))
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('')
}

async function keysOf(v: Vector): Promise<Keys> {
  return (await knockKeys(unhex(v.secret), v.site)) as Keys
}

describe('spec/vectors/knock-v1.json', () => {
  const good = vectors.knocks.filter((v) => v.accept)

  it.each(good)('seals: $name', async (v) => {
    const keys = await keysOf(v)
    const packet = await sealKnock(keys, {
      nonce: unhex(v.nonce),
      time: v.time_ms,
      answerWanted: v.answer_wanted ?? false,
      ...(v.claimed && { claimed: v.claimed }),
      ...(v.service && { service: v.service }),
      ...(v.duration_s && { duration: v.duration_s }),
    })
    expect(hex(packet)).toBe(v.packet)
    expect(v.packet.startsWith(hex(await hintOf(keys, v.epoch * 600_000)))).toBe(true)
    expect(await answerTopic(keys, unhex(v.nonce))).toBe(v.answer_topic)
  })

  // What core refuses, we have no way to make.
  it.each(vectors.knocks.filter((v) => !v.accept))('never seals: $name', async (v) => {
    const same = await Promise.all(
      good.map(async (k) => hex(await sealKnock(await keysOf(k), { nonce: unhex(k.nonce), time: k.time_ms }))),
    )
    expect(same).not.toContain(v.packet)
  })

  it.each([
    ['no address', { claimed: '0.0.0.0' }],
    ['no address of IPv6', { claimed: '::' }],
    ['a name', { claimed: 'home.example.org' }],
    ['a time beyond the year 9999', { time: 253_402_300_800_000 }],
    ['no time', { time: Number.NaN }],
    ['no service', { service: 'photos' }],
  ])('refuses %s', async (_, wrong) => {
    const keys = await keysOf(good[0] as Vector)
    await expect(sealKnock(keys, { nonce: new Uint8Array(12), time: 1, ...wrong })).rejects.toThrow(RangeError)
  })

  const statuses = ['', 'opened', 'renewed', 'nothing', 'refused', 'inside']

  it.each(vectors.answers)('opens or refuses: $name', async (v) => {
    const answer = await openKnockAnswer(await keysOf(v), unhex(v.packet), unhex(v.asked_nonce))
    const want = {
      status: statuses[v.status ?? 0],
      sessions: v.sessions ?? 0,
      time: v.time_ms,
      source: v.source,
      ...(v.expires_ms && { expires: v.expires_ms }),
    }
    expect(answer).toEqual(v.accept ? want : undefined)
  })

  it('takes no answer to another knock, and none that was cut', async () => {
    const v = vectors.answers.find((a) => a.accept) as AnswerVector
    const keys = await keysOf(v)
    const asked = unhex(v.asked_nonce)
    expect(await openKnockAnswer(keys, unhex(v.packet), asked)).toBeDefined()
    expect(await openKnockAnswer(keys, unhex(v.packet.slice(2)), asked)).toBeUndefined()
    asked[0] = 7
    expect(await openKnockAnswer(keys, unhex(v.packet), asked)).toBeUndefined()
  })

  it('is not empty', () => {
    expect(good.length).toBeGreaterThan(6)
    expect(vectors.answers.length).toBeGreaterThan(8)
  })

  it('makes keys that nobody can read out', async () => {
    const keys = await keysOf(good[0] as Vector)
    for (const key of Object.values(keys)) expect((key as CryptoKey).extractable).toBe(false)
  })
})

describe('addresses', () => {
  it.each([
    ['198.51.100.7', '00000000000000000000ffffc6336407'],
    ['2001:db8:7::1', '20010db8000700000000000000000001'],
    ['::1', '00000000000000000000000000000001'],
    ['::', '00000000000000000000000000000000'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['2001:0:0:1::10', '20010000000000010000000000000010'],
  ])('reads and writes %s', (text, want) => {
    expect(hex(addressBytes(text) as Bytes)).toBe(want)
    expect(addressText(unhex(want))).toBe(text)
  })

  it.each([
    ['10.0.0.1', true], ['172.31.0.1', true], ['192.168.1.1', true], ['127.0.0.1', true], ['169.254.1.1', true], ['0.0.0.0', true],
    ['224.0.0.1', true], ['255.255.255.255', true], ['::1', true], ['fe80::1', true], ['febf::1', true], ['fd00::1', true], ['fc00::1', true], ['ff02::1', true],
    ['11.0.0.1', false], ['172.32.0.1', false], ['172.15.0.1', false], ['192.169.1.1', false], ['198.51.100.7', false], ['223.1.1.1', false],
    ['2001:db8::1', false], ['fec0::1', false],
  ])('tells whether the internet does not see %s: %s', (text, is) => {
    expect(isInner(addressBytes(text) as Bytes)).toBe(is)
  })

  it.each(['', '1.2.3', '1.2.3.256', '<html>', '1::2::3', '1:2:3', '1:2:3:4:5:6:7:8:9', 'g::', '12345::', '1:2:3:4:5:6:7::8:9'])('refuses %j', (text) =>
    expect(addressBytes(text)).toBeUndefined(),
  )
})

it.each(['=', 'A', 'AB', 'A+', 'A/', 'AA=='])('base64url refuses %j', (text) => expect(fromBase64url(text)).toBeUndefined())
