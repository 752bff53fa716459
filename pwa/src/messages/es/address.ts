import type { Messages } from '../en'

export const address: Messages['address'] = {
  title: 'Dónde estás',
  unknown: 'No se conoce tu dirección.',
  alone: 'Las sesiones se abren solo para esta dirección.',
  network: (source) => `Las sesiones se abren para tu red, ${source}.`,
  inside: 'Estás dentro. Los servicios responden sin sesión.',
  shared: 'Tu operador reparte esta dirección entre muchos, así que no se puede abrir ninguna sesión para ella.',
  unsure: 'El servidor ve un proxy, no a ti. Pide a quien administra que mire trusted_proxies.',
  badgeUnsure: 'Dudosa',
  unusable: 'No se puede abrir ninguna sesión para esta dirección.',
  badgeIPv6: 'IPv6',
  badgeInside: 'En la LAN',
  badgeShared: 'Compartida',
  badgeUnusable: 'No sirve',
  changed: (now, before) =>
    `Tu dirección es ahora ${now}. Las sesiones siguen siendo de ${before}.`,
}
