import type { Messages } from '../en'

export const device: Messages['device'] = {
  title: 'Dispositivos',
}
