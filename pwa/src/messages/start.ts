import type { Messages } from './en'

/** The words that are there before any were fetched: none. Tests have English there. */
export const atHand: Partial<Messages> = {}
