import type { Messages } from '../en'
import { plural } from '../format'

export const broker: Messages['broker'] = {
  title: 'Broker MQTT',
  connected: 'El broker está conectado.',
  away: (why) => `No se llega al broker: ${why}`,
  serves: (n) =>
    `El broker integrado atiende a ${plural('es', n, { one: '1 cliente', other: `${n} clientes` })}.`,
  rests: 'El broker integrado no atiende.',
}
