import type { Code } from '../../src/api/problem'

/** Says what a guest may be refused with, by the code of the server's sentence, with its {places}. */
type Refusals = { readonly [code: string]: string | undefined }

/** What the page says, in the languages that it speaks. */
const en = {
  loading: 'Looking at your invitation…',
  title: (from: string, service: string, length: string) => `${from} lets you use ${service} for ${length}`,
  service: 'Service',
  host: 'Where',
  until: 'Open this by',
  address: 'Your address',
  only: (address: string) => `For your address ${address} only`,
  shared: 'Your carrier shares this address out to many, so nothing can be opened for it. Try from another network.',
  explain: 'Nothing is open before you press the button. You need no account.',
  open: (service: string, length: string) => `Open ${service} for ${length}`,
  opening: 'Opening…',
  opened: (service: string) => `${service} is open for you`,
  connect: 'Connect to',
  go: (service: string) => `Go to ${service}`,
  copy: 'Copy',
  copied: 'Copied',
  notCopied: 'Copying was refused. Mark the text and copy it by hand.',
  leave: 'Close now',
  notLeft: 'It can’t be closed from here. It closes by itself.',
  closed: 'It is closed.',
  openAgain: 'Open it again',
  closes: (time: string) => `It closes by itself at ${time}.`,
  inside: 'You’re already inside.',
  insideHelp: 'The service answers without a session.',
  changed: 'Your address changed.',
  openNew: 'Open it for the new one',
  left: 'Time left',
  over: 'Your time is over.',
  used: 'This link was used up.',
  expired: (day: string) => `This link ended on ${day}.`,
  revoked: 'This link was withdrawn.',
  askAnother: 'Ask whoever sent it for another one.',
  noSecret: 'This link is not complete. Ask for it again.',
  unknown: 'This link is not complete. Ask for it again.',
  refused: 'You were not let in:',
  refusals: {} as Refusals, // English is what the server itself says
  family: (n: number) => `This service can only be opened for IPv${n} addresses, and you have none.`,
  unavailable: 'It can’t be opened right now. Try again in a minute.',
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
  title: (from, service, length) => `${from} te deja usar ${service} durante ${length}`,
  service: 'Servicio',
  host: 'Dónde',
  until: 'Ábrela antes del',
  address: 'Tu dirección',
  only: (address) => `Solo para tu dirección ${address}`,
  shared: 'Tu operador reparte esta dirección entre muchos, así que no se puede abrir nada para ella. Prueba desde otra red.',
  explain: 'No se abre nada antes de que pulses el botón. No necesitas cuenta.',
  open: (service, length) => `Abrir ${service} durante ${length}`,
  opening: 'Abriendo…',
  opened: (service) => `${service} está abierto para ti`,
  connect: 'Conéctate a',
  go: (service) => `Ir a ${service}`,
  copy: 'Copiar',
  copied: 'Copiado',
  notCopied: 'No se pudo copiar. Marca el texto y cópialo a mano.',
  leave: 'Cerrar ya',
  notLeft: 'No se puede cerrar desde aquí. Se cierra solo.',
  closed: 'Está cerrado.',
  openAgain: 'Abrirlo otra vez',
  closes: (time) => `Se cierra solo a las ${time}.`,
  inside: 'Ya estás dentro.',
  insideHelp: 'El servicio responde sin sesión.',
  changed: 'Tu dirección ha cambiado.',
  openNew: 'Abrirlo para la nueva',
  left: 'Tiempo restante',
  over: 'Tu tiempo ha terminado.',
  used: 'Este enlace está gastado.',
  expired: (day) => `Este enlace terminó el ${day}.`,
  revoked: 'Este enlace fue retirado.',
  askAnother: 'Pide otra a quien te la envió.',
  noSecret: 'Este enlace no está completo. Pídelo otra vez.',
  unknown: 'Este enlace no está completo. Pídelo otra vez.',
  refused: 'No se te dejó pasar:',
  refusals: {
    invitation_from: 'Esta invitación no es para invitados de donde estás.',
    invitation_nowhere: 'No se abre nada para {address}, por el lugar donde está.',
    invitation_dead: 'Ya no abre nada: quien la hizo no puede usar ahora este servicio.',
    source_not_public: 'No se puede abrir nada para {address}: no es una dirección pública.',
    source_inside: '{address} ya está dentro de la red: ahí no hace falta abrir nada.',
    source_family: '{address} es una dirección {family}, y «{service}» solo se abre para direcciones {other}.',
    for_long: 'No se puede abrir por tanto tiempo ({asked}): {most} como máximo.',
    proxy_untold: 'El router aún no está listo. Inténtalo dentro de un rato.',
    proxy_none: 'Al router le falta lo que este servicio necesita. Díselo a quien te invitó.',
    port_none: 'No hay ningún puerto para abrirlo. Díselo a quien te invitó.',
    port_all_taken: 'Todos los puertos están ocupados para tu dirección. Inténtalo más tarde.',
    port_router: 'El propio router usa el puerto {port}. Díselo a quien te invitó.',
    port_taken: 'El puerto {port} ya lleva a otro servicio desde {source}. Inténtalo cuando se cierre.',
    session_ended: 'Se ha cerrado entretanto.',
  } satisfies Partial<Record<Code, string>>,
  family: (n) => `Este servicio solo se puede abrir para direcciones IPv${n}, y no tienes ninguna.`,
  unavailable: 'Ahora no se puede abrir. Inténtalo en un minuto.',
  throttled: 'Demasiados intentos desde tu red. Espera un momento e inténtalo de nuevo.',
  clock: 'El reloj de tu dispositivo está mal. Ponlo en hora e inténtalo de nuevo.',
  noAnswer: 'No llegó respuesta. Quien te invitó puede estar desconectado, la invitación puede haber terminado hace tiempo, o tu reloj está mal.',
  noAddress: 'No se puede averiguar tu dirección pública. ¿Tienes conexión?',
  failed: 'No ha funcionado.',
  again: 'Intentar de nuevo',
}

/** The first language of the browser that the page speaks, and how dates and times are written where that is. */
export function wordsFor(tags: readonly string[]): { language: 'en' | 'es'; locale: string; words: Words } {
  const plain = /^[a-z]{2}(?:-[a-z\d]{2,8})*$/i
  for (const tag of tags) {
    const primary = tag.split('-')[0]
    if (primary !== 'en' && primary !== 'es') continue
    return { language: primary, locale: plain.test(tag) ? tag : primary, words: primary === 'es' ? es : en }
  }
  return { language: 'en', locale: 'en', words: en }
}
