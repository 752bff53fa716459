import type { Messages } from '../en'

export const service: Messages['service'] = {
  title: 'Servicios',
  filter: 'Buscar un servicio',
  noMatch: 'Nada coincide.',
  empty: 'Todavía no hay servicios. Pide acceso a quien administra.',
  emptyAdmin: 'Todavía no hay servicios.',
  failed: 'No se pueden mostrar los servicios.',
  closed: 'Cerrado',
  opening: 'Abriendo…',
  open: (time) => `Abierto · ${time}`,
  unreachable: 'Sin conexión',
  inside: 'No hace falta sesión',
  tapOpen: 'Ábrelo para esta dirección',
  tapShow: 'Muestra su sesión',
  failedTap: 'Falló · toca para saber por qué',
  add: 'Añadir un servicio',
  address: 'Dirección',
}
