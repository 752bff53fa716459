/** How hard a password is to guess, in three steps; 12 characters is the least that is allowed. */
export type Strength = 'weak' | 'fair' | 'strong'

export const leastLength = 12

/** A rough word for a password's strength: by its length, and how much of it differs. */
export function strengthOf(password: string): Strength {
  const length = [...password].length
  const distinct = new Set(password).size
  if (length < leastLength || distinct < 6) return 'weak'
  return length >= 18 && distinct >= 10 ? 'strong' : 'fair'
}

export function isUserName(name: string): boolean {
  return /^[a-z0-9._-]{1,64}$/.test(name)
}

const storageKey = 'ownline.setup'

/**
 * The one-time token of a setup link. It travels in the fragment, which no server sees; here it
 * is taken out of the address bar, and kept for this tab so that a reload does not lose it.
 */
export function takeToken(): string {
  const token = location.hash.slice(1)
  if (token) {
    sessionStorage.setItem(storageKey, token)
    // The router writes the address it knows again before it goes on.
    history.replaceState({ ...history.state, current: location.pathname }, '', location.pathname)
  }
  return token || (sessionStorage.getItem(storageKey) ?? '')
}

/** Keeps the token of a link that was pasted, or which was pasted alone; false: there is none. */
export function pasteToken(text: string): boolean {
  const token = text.trim().replace(/^.*#/, '')
  if (!/^[\w-]{16,}$/.test(token)) return false
  sessionStorage.setItem(storageKey, token)
  return true
}

export function dropToken(): void {
  sessionStorage.removeItem(storageKey)
}

const stepKey = 'ownline.setup.step'

/** What is set up one after the other. */
export const steps = ['account', 'passkey', 'core', 'done'] as const
export type Step = (typeof steps)[number]

/** The step at which this tab was left; a reload must not begin again. */
export function leftAt(): Step | undefined {
  return steps.find((step) => step === sessionStorage.getItem(stepKey))
}

/** Notes the step that comes now; none once the setup is left. */
export function comeTo(step?: Step): void {
  if (step) sessionStorage.setItem(stepKey, step)
  else sessionStorage.removeItem(stepKey)
}
