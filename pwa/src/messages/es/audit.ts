import type { Messages } from '../en'

export const audit: Messages['audit'] = {
  title: 'Registro de cambios',
}
