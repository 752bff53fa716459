import type { Messages } from '../en'

export const install: Messages['install'] = {
  title: 'Instalar',
  why: 'Ten Ownline en tu pantalla de inicio. Así funciona cuando no se llega al servidor.',
  steps: 'Abre el menú «Compartir» de tu navegador y elige «Añadir a pantalla de inicio».',
  notNow: 'Ahora no',
}
