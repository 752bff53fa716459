import type { Messages } from '../en'
import { plural } from '../format'

export const origins: Messages['origins'] = {
  label: 'Solo desde',
  help: 'Países (ES), operadores (AS3352) y redes (198.51.100.0/24). Vacío: desde cualquier sitio.',
  ends: 'Las sesiones desde otros lugares se cierran ya.',
  save: 'Guardar la lista',
  kept: 'La lista queda guardada',
  unknown: (word) => `«${word}» no es un país como ES, ni un operador como AS3352, ni una red como 198.51.100.0/24.`,
  mapped: (word) => `«${word}» es una red IPv4 escrita como IPv6. Escríbela como 198.51.100.0/24.`,
  small: (word, bits) => `«${word}» es menor que lo que admite una sesión. Pon una red de ${bits} bits o menos.`,
  many: (most) => plural('es', most, { one: 'Se admite como mucho una entrada.', other: `Se admiten como mucho ${most} entradas.` }),
  noCountries:
    'Ownline no tiene una base de datos que conozca los países de las direcciones. Pon policy.geoip_database en web.yaml, o nombra solo redes.',
  noProviders:
    'Ownline no tiene una base de datos que conozca los operadores de las direcciones. Pon policy.asn_database en web.yaml, o nombra solo redes.',
}
