import {
  mdiBellOutline, mdiCellphoneCog, mdiKeyChain, mdiPaletteOutline, mdiShieldAccountOutline,
} from '@mdi/js'

/** The pages of Settings, in their order. */
export const sections = [
  { path: '/settings/look', icon: mdiPaletteOutline, label: 'look', about: 'lookAbout' },
  { path: '/settings/sign-in', icon: mdiShieldAccountOutline, label: 'signIn', about: 'signInAbout' },
  { path: '/settings/tokens', icon: mdiKeyChain, label: 'tokens', about: 'tokensAbout' },
  { path: '/settings/notifications', icon: mdiBellOutline, label: 'notifications', about: 'notificationsAbout' },
  { path: '/settings/app', icon: mdiCellphoneCog, label: 'thisApp', about: 'thisAppAbout' },
] as const
