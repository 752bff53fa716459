// Every page of the app in the states that are worth a look.
import { ids } from './data.mjs'

/** Presses what has that text or name in one of the languages; the words differ, so they are given in both. */
const press = (...names) => async (page) => {
  const name = new RegExp(`^\\s*(?:${names.map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})\\s*$`)
  await page.getByRole('button', { name }).last().click()
}
const then = (...steps) => async (page) => {
  for (const step of steps) await step(page)
}
const fill = (value, index = 0) => (page) => page.locator('input:visible').nth(index).fill(value)
const sheet = (page) => page.locator('dialog[open]').last().waitFor()

/**
 * name: also of the file; path; demo: the state that demo.mjs tells; act: what is done before one
 * looks; shot: it is one of the pictures in docs/screenshots; spanish: there in Spanish as well.
 */
export const scenes = [
  { name: 'setup', path: '/setup#c2V0dXA', demo: 'out', shot: true },
  { name: 'login', path: '/login', demo: 'out', shot: true, spanish: true },
  {
    name: 'login-wrong', path: '/login', demo: 'out',
    act: then(fill('ana'), fill('not my password', 1), press('Sign in', 'Entrar')),
  },
  { name: 'home', path: '/', shot: true, spanish: true },
  { name: 'home-empty', path: '/', demo: 'empty', shot: true },
  { name: 'home-loading', path: '/', demo: 'slow', shot: true },
  { name: 'home-core-unreachable', path: '/', demo: 'down', shot: true },
  { name: 'home-session-ends-soon', path: '/', demo: 'soon', shot: true },
  { name: 'home-offline', path: '/', offline: true, shot: true },
  { name: 'home-user', path: '/', demo: 'user' },
  { name: 'server-unreachable', path: '/', demo: 'away' },
  { name: 'account-menu', path: '/', act: press('ana Account', 'ana Cuenta') },
  { name: 'service', path: `/services/${ids.service}`, act: sheet, shot: true },
  { name: 'session', path: `/sessions/${ids.session}`, act: sheet, shot: true },
  { name: 'services', path: '/services' },
  { name: 'invitations', path: '/invitations', shot: true },
  { name: 'invitations-empty', path: '/invitations', demo: 'empty' },
  { name: 'devices', path: '/devices', shot: true },
  { name: 'devices-empty', path: '/devices', demo: 'empty' },
  { name: 'history', path: '/history?reason=expired', shot: true },
  { name: 'history-empty', path: '/history', demo: 'empty' },
  { name: 'settings', path: '/settings', shot: true },
  { name: 'settings-look', path: '/settings/look' },
  { name: 'settings-sign-in', path: '/settings/sign-in', shot: true },
  { name: 'settings-sign-in-loading', path: '/settings/sign-in', demo: 'slow' },
  { name: 'settings-sign-in-failed', path: '/settings/sign-in', demo: 'broken' },
  {
    name: 'settings-password', path: '/settings/sign-in',
    act: then(press('Change password', 'Cambiar la contraseña'), sheet, press('Change password', 'Cambiar la contraseña')),
  },
  { name: 'settings-app-off', path: '/settings/sign-in', act: then(press('Turn off', 'Apagar'), sheet) },
  { name: 'settings-passkey', path: '/settings/sign-in', act: then(press('Add a passkey', 'Añadir una llave de acceso'), sheet) },
  {
    name: 'settings-passkey-menu', path: '/settings/sign-in',
    act: press('More of the passkey “phone”', 'Más sobre la llave de acceso «phone»'),
  },
  { name: 'settings-tokens', path: '/settings/tokens' },
  { name: 'settings-tokens-empty', path: '/settings/tokens', demo: 'empty' },
  { name: 'settings-tokens-failed', path: '/settings/tokens', demo: 'broken' },
  {
    name: 'settings-token-wrong', path: '/settings/tokens',
    act: then(press('New token', 'Token nuevo'), sheet, press('Create token', 'Crear el token')),
  },
  {
    name: 'settings-token-made', path: '/settings/tokens',
    act: then(
      press('New token', 'Token nuevo'), sheet, (page) => page.locator('dialog input:visible').first().fill('grafana'),
      press('Create token', 'Crear el token'), (page) => page.locator('dialog code').waitFor(),
    ),
  },
  {
    name: 'settings-token-revoke', path: '/settings/tokens',
    act: then(press('Revoke the token “backup script”', 'Anular el token «backup script»'), sheet),
  },
  { name: 'settings-notifications', path: '/settings/notifications' },
  { name: 'settings-notifications-user', path: '/settings/notifications', demo: 'user' },
  { name: 'settings-app', path: '/settings/app' },
  { name: 'users', path: '/admin/users', shot: true },
  { name: 'services-admin', path: '/admin/services', shot: true },
  { name: 'grants', path: '/admin/grants', shot: true },
  { name: 'sites', path: '/admin/sites', shot: true },
  { name: 'audit', path: '/admin/audit', shot: true },
  { name: 'only-admins', path: '/admin/users', demo: 'user' },
  { name: 'knock', path: '/client', shot: true, spanish: true },
  { name: 'missing', path: '/nowhere' },
]
