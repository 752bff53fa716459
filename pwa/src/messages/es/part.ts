import type { Messages } from '../en'
import { plural } from '../format'

export const part: Messages['part'] = {
  close: 'Cerrar',
  cancel: 'Cancelar',
  save: 'Guardar',
  back: 'Atrás',
  more: 'Más',
  moreOf: (name) => `Más de ${name}`,
  copy: 'Copiar',
  copyNamed: (label) => `Copiar: ${label}`,
  copied: 'Copiado',
  notCopied: 'No se pudo copiar. Marca el texto y cópialo a mano.',
  typeName: (name) => `Escribe «${name}» para seguir`,
  clearFilters: 'Quitar los filtros',
  filters: 'Filtros',
  any: (label) => `${label}: todo`,
  nothing: 'Nada coincide.',
  showMore: 'Mostrar más',
  qr: 'Código QR',
  timeLeft: (time) => `quedan ${time}`,
  less: 'Menos',
  hours: 'Horas',
  minutes: 'Minutos',
  other: 'Otro…',
  upTo: (length) => `Hasta ${length}`,
  atMost: (length) => `Como mucho ${length} para ti.`,
  asOf: (time) => `A las ${time}`,
  saved: 'Guardado',
  lookAgain: 'Revisa estos campos:',
  tooLong: (most, over) =>
    plural('es', over, { one: `Sobra 1 carácter: ${most} como máximo.`, other: `Sobran ${over} caracteres: ${most} como máximo.` }),
}
