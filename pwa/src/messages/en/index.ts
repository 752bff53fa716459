import * as admin from './admin'
import * as client from './client'
import * as first from './first'
import * as lists from './lists'
import * as settings from './settings'

/** English: the language whose shape all others follow. One file per area. */
export const en = { ...first, ...admin, ...settings, ...client, ...lists }

export type Messages = typeof en
