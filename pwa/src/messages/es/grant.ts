import type { Messages } from '../en'

export const grant: Messages['grant'] = {
  title: 'Permisos',
}
