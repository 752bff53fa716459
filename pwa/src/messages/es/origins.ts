import type { Messages } from '../en'
import { plural } from '../format'

export const origins: Messages['origins'] = {
  label: 'Solo desde',
  help: 'Países (ES), operadores (AS3352) y redes (198.51.100.0/24). Vacío: desde cualquier sitio.',
  ends: 'Las sesiones desde otros lugares se cierran ya.',
  save: 'Guardar la lista',
  kept: 'La lista queda guardada',
  many: (most) => plural('es', most, { one: 'Se admite como mucho una entrada.', other: `Se admiten como mucho ${most} entradas.` }),
}
