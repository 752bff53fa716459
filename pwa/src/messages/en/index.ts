import * as audit from './audit'
import * as broker from './broker'
import * as client from './client'
import * as device from './device'
import * as first from './first'
import * as grant from './grant'
import * as history from './history'
import * as invitation from './invitation'
import * as origins from './origins'
import * as refusal from './refusal'
import * as services from './services'
import * as settings from './settings'
import * as setup from './setup'
import * as sheet from './sheet'
import * as siteAdmin from './siteAdmin'
import * as user from './user'

/** English: the language whose shape all others follow. One file per area. */
export const en = {
  ...first, ...audit, ...broker, ...client, ...device, ...grant, ...history, ...invitation, ...origins, ...refusal, ...services, ...settings, ...setup, ...sheet, ...siteAdmin, ...user,
}

export type Messages = typeof en
