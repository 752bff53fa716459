/** What the page says, in the languages that it speaks. */
const en = {
  loading: 'Looking at your invitation…',
  title: (from: string) => `${from} invites you`,
  service: 'Service',
  host: 'Where',
  lasts: 'For',
  until: 'Open this by',
  address: 'Your address',
  explain: 'One click lets the address that you are at now in. Nobody else gets in by it.',
  open: 'Open it for me',
  opening: 'Opening…',
  opened: (service: string) => `${service} is open for you`,
  connect: 'Connect to',
  go: 'Go there',
  left: 'Time left',
  over: 'Your time is over.',
  used: 'This invitation was used already.',
  expired: 'This invitation has expired.',
  revoked: 'This invitation was taken back.',
  askAnother: 'Ask whoever sent it for another one.',
  noSecret: 'This link is not whole. Was it copied to its end?',
  unknown: 'There is no such invitation. Was the link copied to its end?',
  refused: 'You were not let in:',
  family: (n: number) => `This service can only be opened for IPv${n} addresses, and you have none.`,
  unavailable: 'The place can’t be reached right now. Nothing was used up; try again in a while.',
  throttled: 'Too many tries from your network. Wait a moment, and try again.',
  clock: 'The clock of your device is wrong. Set it, and try again.',
  noAnswer: 'No answer came. Whoever invited you may be offline, the invitation may be long over, or your clock is wrong.',
  noAddress: 'Your public address can’t be found out. Are you online?',
  failed: 'That did not work.',
  again: 'Try again',
}

export type Words = typeof en

const es: Words = {
  loading: 'Mirando tu invitación…',
  title: (from) => `${from} te invita`,
  service: 'Servicio',
  host: 'Dónde',
  lasts: 'Durante',
  until: 'Ábrela antes del',
  address: 'Tu dirección',
  explain: 'Un clic deja pasar a la dirección en la que estás ahora. Nadie más entra con él.',
  open: 'Abrir para mí',
  opening: 'Abriendo…',
  opened: (service) => `${service} está abierto para ti`,
  connect: 'Conéctate a',
  go: 'Ir allí',
  left: 'Tiempo restante',
  over: 'Tu tiempo ha terminado.',
  used: 'Esta invitación ya se usó.',
  expired: 'Esta invitación ha caducado.',
  revoked: 'Esta invitación fue retirada.',
  askAnother: 'Pide otra a quien te la envió.',
  noSecret: 'Este enlace no está completo. ¿Se copió hasta el final?',
  unknown: 'No existe esa invitación. ¿Se copió el enlace hasta el final?',
  refused: 'No se te dejó pasar:',
  family: (n) => `Este servicio solo se puede abrir para direcciones IPv${n}, y no tienes ninguna.`,
  unavailable: 'Ahora no se puede llegar al sitio. No se ha gastado nada; inténtalo más tarde.',
  throttled: 'Demasiados intentos desde tu red. Espera un momento e inténtalo de nuevo.',
  clock: 'El reloj de tu dispositivo está mal. Ponlo en hora e inténtalo de nuevo.',
  noAnswer: 'No llegó respuesta. Quien te invitó puede estar desconectado, la invitación puede haber terminado hace tiempo, o tu reloj está mal.',
  noAddress: 'No se puede averiguar tu dirección pública. ¿Tienes conexión?',
  failed: 'No ha funcionado.',
  again: 'Intentar de nuevo',
}

/** The first language of the browser that the page speaks. */
export function wordsFor(tags: readonly string[]): { language: 'en' | 'es'; words: Words } {
  for (const tag of tags) {
    const primary = tag.split('-')[0]
    if (primary === 'es') return { language: 'es', words: es }
    if (primary === 'en') break
  }
  return { language: 'en', words: en }
}
