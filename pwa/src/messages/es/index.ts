import type { Messages } from '../en'
import * as admin from './admin'
import * as client from './client'
import * as first from './first'
import * as lists from './lists'
import * as settings from './settings'

export const es: Messages = { ...first, ...admin, ...settings, ...client, ...lists }
