/** The offer to install the app. */
export const install = {
  title: 'Install',
  why: 'Keep Ownline on your home screen. It then works when the server can’t be reached.',
  steps: 'Open the menu “Share” of your browser, then choose “Add to Home Screen”.',
  notNow: 'Not now',
}
