import type { Messages } from '../en'

export const alert: Messages['alert'] = {
  guest: (service) => `Un invitado ha abierto ${service}.`,
  opened: (service, source) => `${service} se abrió para ${source}.`,
  endsSoon: (service) => `${service} se cierra en 5 minutos.`,
  refused: (device) => `Se rechazó una llamada de ${device}.`,
  signIn: (address) => `Se ha entrado con tu usuario desde ${address}.`,
  siteUp: (site) => `Se llega otra vez a ${site}.`,
  siteDown: (site) => `No se llega a ${site}.`,
}
