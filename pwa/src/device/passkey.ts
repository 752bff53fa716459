/** A key that only a passkey of this device gives (WebAuthn's extension PRF). */
import { type Bytes, random } from '@/sealed/bytes'
import { type Method, passkeyKey } from './vault'

type PasskeyMethod = Extract<Method, { kind: 'passkey' }>

/** The passkey was not used, or this browser's can't make keys. */
export class NoPasskey extends Error {
  constructor(readonly reason: 'unused' | 'unable') {
    super(reason)
  }
}

/** Passkeys need a name, never an address. */
export function canUsePasskey(): boolean {
  const named = /[a-z]/i.test(location.hostname) && !location.hostname.includes(':')
  return named && typeof PublicKeyCredential !== 'undefined'
}

function answered(credential: PublicKeyCredential): Bytes | undefined {
  const first = credential.getClientExtensionResults().prf?.results?.first
  return first && new Uint8Array(ArrayBuffer.isView(first) ? (first.buffer as ArrayBuffer) : first)
}

async function used(asking: Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const credential = await asking
    if (credential instanceof PublicKeyCredential) return credential
  } catch {
    // Cancelled, timed out, or not allowed here: all the same to us.
  }
  throw new NoPasskey('unused')
}

/** The key of a passkey that makePasskey has made; throws NoPasskey. */
export async function usePasskey(method: PasskeyMethod): Promise<CryptoKey> {
  const credential = await used(
    navigator.credentials.get({
      publicKey: {
        challenge: random(32),
        allowCredentials: [{ type: 'public-key', id: method.credential }],
        userVerification: 'required',
        extensions: { prf: { eval: { first: method.salt } } },
      },
    }),
  )
  const answer = answered(credential)
  if (answer === undefined) throw new NoPasskey('unable')
  return passkeyKey(answer)
}

/** Makes a passkey for the device of that name, and its key; throws NoPasskey. */
export async function makePasskey(name: string): Promise<{ method: PasskeyMethod; key: CryptoKey }> {
  const salt = random(32)
  const credential = await used(
    navigator.credentials.create({
      publicKey: {
        challenge: random(32),
        rp: { name: 'Ownline' },
        user: { id: random(16), name, displayName: name },
        pubKeyCredParams: [-7, -257].map((alg) => ({ type: 'public-key', alg })),
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
        extensions: { prf: { eval: { first: salt } } },
      },
    }),
  )
  const method: PasskeyMethod = { kind: 'passkey', salt, credential: new Uint8Array(credential.rawId) }
  const answer = answered(credential)
  if (answer !== undefined) return { method, key: await passkeyKey(answer) }
  if (!credential.getClientExtensionResults().prf?.enabled) throw new NoPasskey('unable')
  return { method, key: await usePasskey(method) } // many answer only when they are used
}
