import type { Messages } from '../en'

export const invitation: Messages['invitation'] = {
  title: 'Invitaciones',
}
