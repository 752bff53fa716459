export const account = {
  menu: 'Account',
  address: 'Your address',
  theme: 'Theme',
  system: 'System',
  light: 'Light',
  dark: 'Dark',
  language: 'Language',
  signOut: 'Sign out',
  admin: 'Admin',
}
