import type { Messages } from '../en'
import { account } from './account'
import { address } from './address'
import { app } from './app'
import { audit } from './audit'
import { broker } from './broker'
import { client } from './client'
import { device } from './device'
import { frame } from './frame'
import { grant } from './grant'
import { history } from './history'
import { icon } from './icon'
import { install } from './install'
import { invitation } from './invitation'
import { login } from './login'
import { part } from './part'
import { pass } from './pass'
import { problem } from './problem'
import { service } from './service'
import { serviceForm } from './serviceForm'
import { session } from './session'
import { settings } from './settings'
import { setup } from './setup'
import { site } from './site'
import { siteAdmin } from './siteAdmin'
import { user } from './user'

export const es: Messages = {
  account,
  address,
  app,
  audit,
  broker,
  client,
  device,
  frame,
  grant,
  history,
  icon,
  install,
  invitation,
  login,
  part,
  pass,
  problem,
  service,
  serviceForm,
  session,
  settings,
  setup,
  site,
  siteAdmin,
  user,
}
