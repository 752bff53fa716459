import { minutes } from './count'

export const login = {
  title: 'Sign in to Ownline',
  forService: 'The service wants to know who you are. You come back to it then.',
  name: 'User name',
  password: 'Password',
  submit: 'Sign in',
  submitWith: (name: string) => `Sign in with ${name}`,
  wrong: 'Name or password is not right.',
  tooMany: (n: number) => `Too many tries. Wait ${minutes(n)}.`,
  nameMissing: 'Enter your user name.',
  passwordMissing: 'Enter your password.',
  code: 'Code of your app, or a recovery code',
  codeWrong: 'The code is not right, or was used already.',
  mustChange: 'An admin has set your password. Choose your own to go on.',
  newPassword: 'New password',
  show: 'Show password',
  hide: 'Hide password',
}
