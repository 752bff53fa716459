import { answer, client } from './client'
import type { components } from './schema'

type Schemas = components['schemas']

/** By what one signs in. */
export type Factors = Schemas['Factors']
export type Passkey = Schemas['Passkey']
/** A secret for an app that makes codes. */
export type OfferedApp = Schemas['Offered']
/** That one may sign in by an identity provider. */
export type ProviderLink = Schemas['Link']
/** The password or a code, where a login of just now is not enough. */
export type Proof = Schemas['Proof']

export function factors(): Promise<Factors> {
  return answer(client.GET('/api/v1/me/factors'))
}

export async function passkeys(): Promise<Passkey[]> {
  return (await answer(client.GET('/api/v1/me/passkeys'))).items ?? []
}

export function renamePasskey(id: string, name: string): Promise<Passkey> {
  return answer(client.PATCH('/api/v1/me/passkeys/{id}', { params: { path: { id } }, body: { name } }))
}

export async function removePasskey(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/me/passkeys/{id}', { params: { path: { id } } }))
}

/** Begins to turn the codes of an app on; they count once one was confirmed. */
export function offerApp(proof: Proof): Promise<OfferedApp> {
  return answer(client.POST('/api/v1/me/totp', { body: proof }))
}

/** Turns them on by a code of the app, and returns the recovery codes. */
export async function confirmApp(otp: string): Promise<string[]> {
  return (await answer(client.POST('/api/v1/me/totp/confirm', { body: { otp } }))).recovery_codes
}

export async function removeApp(proof: Proof): Promise<void> {
  await answer(client.POST('/api/v1/me/totp/off', { body: proof }))
}

export async function newRecoveryCodes(proof: Proof): Promise<string[]> {
  return (await answer(client.POST('/api/v1/me/recovery-codes', { body: proof }))).recovery_codes
}

export async function providerLinks(): Promise<ProviderLink[]> {
  return (await answer(client.GET('/api/v1/auth/oidc/link'))).items ?? []
}

/** Begins to link oneself with the identity provider; returns where the browser is to go. */
export async function linkProvider(): Promise<string> {
  return (await answer(client.POST('/api/v1/auth/oidc/link'))).location
}

export async function unlinkProviders(): Promise<void> {
  await answer(client.DELETE('/api/v1/auth/oidc/link'))
}
