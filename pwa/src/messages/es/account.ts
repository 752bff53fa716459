import type { Messages } from '../en'

export const account: Messages['account'] = {
  menu: 'Cuenta',
  address: 'Tu dirección',
  theme: 'Tema',
  system: 'Sistema',
  light: 'Claro',
  dark: 'Oscuro',
  language: 'Idioma',
  signOut: 'Salir',
  admin: 'Administración',
}
