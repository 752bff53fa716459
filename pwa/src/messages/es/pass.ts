import type { Messages } from '../en'

export const pass: Messages['pass'] = {
  title: 'De vuelta al servicio',
  goOn: 'Seguir',
  refusedTitle: 'No puedes usar este servicio',
  refused: (name) =>
    `Has entrado como ${name}, sin permiso para este servicio. Pide acceso a quien administra.`,
  another: 'Entrar con otro nombre',
  stale: 'Este enlace no vale aquí. Vuelve a abrir la página del servicio.',
}
