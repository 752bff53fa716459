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
  paused: 'Live updates paused. Reconnecting…',
  dismiss: 'Dismiss',
  notices: 'Notices',
}
