import type { Messages } from '../en'
import { minutes } from './count'

export const app: Messages['app'] = {
  name: 'Ownline',
  home: 'Inicio',
  toContent: 'Ir al contenido',
  tryAgain: 'Reintentar',
  goHome: 'Ir al inicio',
  notYet: 'Esta página todavía no está.',
  missing: 'Aquí no hay nada.',
  unreachable: 'No se llega a Ownline desde aquí.',
  offline: 'Estás sin conexión. Se muestra lo último conocido.',
  offlineWhy: 'Estás sin conexión. Esto necesita el servidor.',
  notLoaded: 'No se ha podido cargar esa página. Comprueba tu conexión y recarga.',
  paused: 'Novedades en pausa. Volviendo a conectar…',
  newVersion: 'Hay una versión nueva.',
  reload: 'Recargar',
  dismiss: 'Descartar',
  notices: 'Avisos',
  signInAgain: 'Entra otra vez para seguir.',
  endsSoon: (n) => `Tu sesión de usuario acaba en ${minutes(n)}.`,
  stay: 'Seguir dentro',
}
