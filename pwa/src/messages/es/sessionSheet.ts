import type { Messages } from '../en'

export const sessionSheet: Messages['sessionSheet'] = {
  title: 'Sesión',
  until: (time) => `hasta las ${time}`,
  extendBy: (length) => `Alargar ${length}`,
  longest: 'Es lo más que puedes tener.',
  traffic: (down, up) => `↓ ${down} ↑ ${up}`,
  silent: 'Todavía no ha pasado nada',
  silentHelp: '¿Usa la aplicación esta dirección?',
  byYou: 'ti',
  byKnock: (device) => `una llamada de ${device}`,
  byInvitation: (name) => `una invitación de ${name}`,
  facts: {
    address: 'Dirección',
    command: 'Orden',
    source: 'Para',
    source6: 'Y para',
    device: 'Dispositivo',
    by: 'Abierta por',
    port: 'Puerto público',
    protocol: 'Protocolo',
    opened: 'Abierta el',
    ends: 'Acaba el',
    ended: 'Acabó el',
    site: 'Sede',
    id: 'Identificador',
  },
}
