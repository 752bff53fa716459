// @vitest-environment node
import { expect, it } from 'vitest'
import { random } from '@/sealed/bytes'
import { sealKnock } from '@/sealed/knock'
import type { Profile } from './profile'
import { type Method, openRest, passkeyKey, passphraseKey, rounds, sealRest, store, unlock, WrongKey } from './vault'

const profile: Profile = {
  host: 'home.example.org',
  site: '0192f0c0-de00-7000-8000-000000000001',
  device: '0192f0c0-de00-7000-8000-000000000002',
  key: new Uint8Array(32).fill(0x5a),
  name: 'phone',
  broker: { url: 'wss://broker.example.org', topic: 'ownline/knock', username: 'phone', password: 'four words are enough' },
  addresses: ['https://a.example.org/'],
}

function method(): Extract<Method, { kind: 'passphrase' }> {
  return { kind: 'passphrase', salt: random(16), rounds: 1000 }
}

it('makes passphrases hard to guess', () => expect(rounds).toBe(600_000))

it('opens with the passphrase alone, and knocks as before', async () => {
  const how = method()
  const { stored, opened } = await store(profile, how, await passphraseKey('correct horse', how))
  await expect(passphraseKey('correct horsf', how).then((key) => unlock(stored, key))).rejects.toThrow(WrongKey)
  const again = await unlock(stored, await passphraseKey('correct horse', how))
  expect(await openRest(again, stored)).toEqual({ host: profile.host, broker: profile.broker, addresses: profile.addresses, services: [] })
  const knock = { nonce: random(12), time: 1_790_000_000_000, claimed: '198.51.100.7' }
  expect(await sealKnock(again.keys, knock)).toEqual(await sealKnock(opened.keys, knock))
})

it('opens with what a passkey answers', async () => {
  const answer = random(32)
  const how: Method = { kind: 'passkey', salt: random(32), credential: random(16) }
  const { stored } = await store(profile, how, await passkeyKey(answer))
  await expect(unlock(stored, await passkeyKey(answer))).resolves.toBeDefined()
  await expect(passkeyKey(random(32)).then((key) => unlock(stored, key))).rejects.toThrow(WrongKey)
})

it('rests with nothing of the secret, the broker or the services to be read', async () => {
  const how = method()
  const { stored, opened } = await store(profile, how, await passphraseKey('correct horse', how))
  stored.rest = await sealRest(opened, stored.device, { ...(await openRest(opened, stored)), services: [{ name: 'Photos', address: 'photos.example.org:9999' }] })
  const text = [stored.secret, stored.rest].map((bytes) => new TextDecoder('latin1').decode(bytes)).join('') + JSON.stringify({ ...stored, secret: '', rest: '' })
  for (const word of ['broker', 'words', 'Photos', 'home.example', 'WlpaWlpa']) expect(text).not.toContain(word)
  expect((await openRest(opened, stored)).services[0]?.name).toBe('Photos')
})

it('keeps only keys that nobody can read out', async () => {
  const how = method()
  const { opened } = await store(profile, how, await passphraseKey('correct horse', how))
  for (const key of [opened.rest, ...Object.values(opened.keys)] as CryptoKey[]) {
    expect(key.extractable).toBe(false)
    await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow(/extract/)
  }
})

it('does not open for another device', async () => {
  const how = method()
  const key = await passphraseKey('correct horse', how)
  const { stored, opened } = await store(profile, how, key)
  const other = { ...stored, device: profile.site }
  await expect(unlock(other, key)).rejects.toThrow(WrongKey)
  await expect(openRest(opened, other)).rejects.toThrow(WrongKey)
})
