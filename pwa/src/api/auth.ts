import { answer, client } from './client'
import { Problem } from './problem'
import type { components } from './schema'

export type Me = components['schemas']['Me']

export function login(name: string, password: string): Promise<Me> {
  return answer(client.POST('/api/v1/auth/login', { body: { name, password } }), true)
}

export type Methods = components['schemas']['Methods']

/** The ways to sign in that the server offers. */
export function methods(): Promise<Methods> {
  return answer(client.GET('/api/v1/auth/methods'), true)
}

/** Where a browser goes to sign in by the identity provider; it comes back to the path next. */
export function providerAddress(next: string): string {
  return `/api/v1/auth/oidc/start?return=${encodeURIComponent(next)}`
}

/** Gives the code that a second factor wants after the password: of the app, or for recovery. */
export function secondFactor(challenge: string, code: string): Promise<Me> {
  const body =
    code.length > 8 ? { challenge, recovery_code: code } : { challenge, otp: code }
  return answer(client.POST('/api/v1/auth/second-factor', { body }), true)
}

/** tokens: makes the bearer tokens worthless, too. */
export async function changePassword(current: string, password: string, tokens = false): Promise<void> {
  await answer(client.PUT('/api/v1/me/password', { body: { current, password, tokens } }), true)
}

/** Makes the first admin, by the token of the link that the server printed at its first start. */
export function setup(token: string, name: string, password: string): Promise<Me> {
  return answer(client.POST('/api/v1/auth/setup', { body: { token, name, password } }), true)
}

/** How long an answer of the server takes, in milliseconds. */
export async function measure(): Promise<number> {
  const start = performance.now()
  await methods()
  return Math.round(performance.now() - start)
}

export async function logout(): Promise<void> {
  await answer(client.POST('/api/v1/auth/logout'), true)
}

/**
 * Who is signed in; when nobody is, a Problem with the status 401. The server's own answer is none then:
 * browsers write those to the console.
 */
export async function me(signal?: AbortSignal): Promise<Me> {
  const { me: who } = await answer(client.GET('/api/v1/auth/login', { ...(signal && { signal }) }), true)
  if (!who) throw new Problem(401)
  return who
}
