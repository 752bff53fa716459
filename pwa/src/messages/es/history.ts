import type { Messages } from '../en'

export const history: Messages['history'] = {
  title: 'Historial',
}
