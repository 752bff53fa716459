import type { Messages } from '../en'
import { minutes } from './count'

export const login: Messages['login'] = {
  title: 'Entra en Ownline',
  forService: 'El servicio quiere saber quién eres. Después vuelves a él.',
  name: 'Nombre de usuario',
  password: 'Contraseña',
  submit: 'Entrar',
  submitWith: (name) => `Entrar con ${name}`,
  wrong: 'El nombre o la contraseña no son correctos.',
  tooMany: (n) => `Demasiados intentos. Espera ${minutes(n)}.`,
  nameMissing: 'Escribe tu nombre de usuario.',
  passwordMissing: 'Escribe tu contraseña.',
  code: 'Código de tu aplicación, o uno de recuperación',
  codeWrong: 'El código no es correcto o ya se usó.',
  mustChange: 'Alguien de administración puso tu contraseña. Elige la tuya para seguir.',
  newPassword: 'Contraseña nueva',
  show: 'Mostrar la contraseña',
  hide: 'Ocultar la contraseña',
}
