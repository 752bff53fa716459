export const problem = {
  unknown: "That didn't work. Nothing was changed.",
  signedOut: 'You are signed out. Sign in again.',
  notAllowed: 'You may not do that.',
  notFromHere: 'Nothing may be opened for this address.',
  gone: 'It is not there any more.',
  core: 'The core could not be reached. Nothing was opened.',
  field: (label: string, message: string) => `${label}: ${message}.`,
  refused: (detail: string) => `Ownline refused: ${detail}.`,
  notOpened: (name: string, why: string) => `${name} was not opened. ${why}`,
  notClosed: (name: string, why: string) => `${name} was not closed. ${why}`,
  notExtended: (name: string, why: string) => `${name} was not extended. ${why}`,
  notMoved: (name: string, why: string) => `${name} was not moved. ${why}`,
}
