import { answer, client } from './client'
import { Problem } from './problem'
import type { components } from './schema'

type Me = components['schemas']['Me']
export type Passkey = components['schemas']['Passkey']

/** Whether this browser can sign in by a passkey at all. */
export function canPasskey(): boolean {
  return 'PublicKeyCredential' in window && 'parseRequestOptionsFromJSON' in PublicKeyCredential
}

/** Whether this browser offers passkeys where it fills in names. */
export async function canAutofill(): Promise<boolean> {
  return canPasskey() && (await PublicKeyCredential.isConditionalMediationAvailable())
}

/** A person or the browser has said no, which is no failure of ours. */
export class NotUsed extends Error {}

function asCredential(got: Credential | null): Record<string, unknown> {
  if (!(got instanceof PublicKeyCredential)) throw new NotUsed()
  return { ...got.toJSON() }
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof Problem) throw error
    throw new NotUsed(String(error), { cause: error })
  }
}

/**
 * Signs in by a passkey: alone, or with the challenge of a password in place of a code. autofill
 * waits until one is picked where the browser fills in names. Rejects with NotUsed, or a Problem.
 */
export async function passkeyLogin(
  how: { challenge?: string; autofill?: boolean; signal?: AbortSignal } = {},
): Promise<Me> {
  const body = { ...(how.challenge && { challenge: how.challenge }) }
  const { challenge, options } = await answer(
    client.POST('/api/v1/auth/passkey/options', { body }),
    true,
  )
  const got = await asked(() =>
    navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(
        options as PublicKeyCredentialRequestOptionsJSON,
      ),
      ...(how.autofill && { mediation: 'conditional' as const }),
      ...(how.signal && { signal: how.signal }),
    }),
  )
  const credential = asCredential(got)
  return answer(client.POST('/api/v1/auth/passkey', { body: { challenge, credential } }), true)
}

/** Makes a passkey of this device's and registers it. Who did not sign in just now gives a proof. */
export async function addPasskey(
  name: string,
  proof: components['schemas']['Proof'] = {},
): Promise<Passkey> {
  const { challenge, options } = await answer(
    client.POST('/api/v1/me/passkeys/options', { body: proof }),
    true,
  )
  const got = await asked(() =>
    navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(
        options as PublicKeyCredentialCreationOptionsJSON,
      ),
    }),
  )
  const credential = asCredential(got)
  return answer(client.POST('/api/v1/me/passkeys', { body: { challenge, credential, name } }), true)
}
