import type { Messages } from '../en'
import { listOf } from '../format'

export const site: Messages['site'] = {
  title: 'Sedes',
  took: (name, ms) => `${name} · ${ms} ms`,
  answered: (ms) => `conectada, ${ms} ms`,
  lastContact: (ago) => `último contacto ${ago}`,
  never: 'todavía sin contacto',
  check: 'Comprobar ahora',
  open: 'Abrir las sedes',
  reachable: 'conectada',
  cannotReach: 'sin conexión',
  lost: 'Ownline sin conexión',
  some: (up, all) => `${up} de ${all} sedes`,
  see: 'Ver qué comprobar',
  down: (names) =>
    `No se llega a ${listOf('es', names)}. Las sesiones abiertas siguen y acaban a su hora; no se pueden abrir otras.`,
  root: {
    title: 'Certificados',
    meaning: (domain) =>
      `Los servicios bajo ${domain} llevan certificados de una autoridad propia del router, y los navegadores avisan de ello. Un dispositivo que confía en ella los abre sin aviso, y la cree para todo nombre bajo ${domain}. Hazlo solo en dispositivos tuyos.`,
    download: (name) => `Descargar el certificado de ${name}`,
  },
}
