import type { Messages } from '../en'

export const setup: Messages['setup'] = {
  title: 'Prepara Ownline',
  intro: 'Crea la primera cuenta. Es de administración: añade sedes, servicios y personas.',
  nameHelp: 'Letras minúsculas, cifras, punto, guion y guion bajo.',
  nameWrong: 'Usa de 1 a 64 letras minúsculas, cifras, puntos, guiones o guiones bajos.',
  passwordHelp: 'Al menos 12 caracteres.',
  passwordShort: 'Usa al menos 12 caracteres.',
  strength: (word) => `Seguridad: ${word}`,
  weak: 'baja',
  fair: 'media',
  strong: 'alta',
  submit: 'Crear la cuenta',
  invalid: 'Este enlace de preparación no vale. Vuelve a arrancar ownline-web para obtener otro.',
  signIn: 'Entrar',
}
