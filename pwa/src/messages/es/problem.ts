import type { Messages } from '../en'

export const problem: Messages['problem'] = {
  unknown: 'No ha funcionado. No se ha cambiado nada.',
  copyDetails: 'Copiar los detalles',
  signedOut: 'Has salido. Vuelve a entrar.',
  notAllowed: 'No puedes hacer eso.',
  notFromHere: 'No se puede abrir nada para esta dirección.',
  gone: 'Ya no está.',
  silent: 'Lo que hace falta para esto no respondió. Inténtalo de nuevo en un momento.',
  core: 'No se llegó al core. No se ha abierto nada.',
  about: (label, message) => `«${label}» ${message}`,
  refusedEntry: (message) => `Ownline rechazó lo que has puesto: ${message}.`,
  refused: (detail) => `Ownline lo rechazó: ${detail}.`,
  notOpened: (name, why) => `${name} no se abrió. ${why}`,
  notClosed: (name, why) => `${name} no se cerró. ${why}`,
  notExtended: (name, why) => `${name} no se alargó. ${why}`,
  notMoved: (name, why) => `${name} no se pasó a esta dirección. ${why}`,
}
