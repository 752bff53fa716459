import type { Messages } from '../en'

export const client: Messages['client'] = {
  title: 'Llamar',
}
