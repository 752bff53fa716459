import { minutes } from './count'

export const app = {
  name: 'Ownline',
  home: 'Home',
  toContent: 'To content',
  tryAgain: 'Try again',
  goHome: 'Go home',
  notYet: 'This page is not here yet.',
  missing: 'There is nothing here.',
  unreachable: "Ownline can't be reached from here.",
  offline: 'You are offline. Showing what was last known.',
  offlineWhy: 'You are offline. This needs the server.',
  notLoaded: 'That page could not be loaded. Check your connection, then reload.',
  paused: 'Live updates paused. Reconnecting…',
  newVersion: 'A new version is ready.',
  reload: 'Reload',
  dismiss: 'Dismiss',
  notices: 'Notices',
  signInAgain: 'Sign in again to go on.',
  endsSoon: (n: number) => `You'll be signed out in ${minutes(n)}.`,
  stay: 'Stay signed in',
}
