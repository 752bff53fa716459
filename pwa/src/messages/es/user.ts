import type { Messages } from '../en'

export const user: Messages['user'] = {
  title: 'Usuarios',
}
