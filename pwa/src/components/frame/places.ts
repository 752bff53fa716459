import {
  mdiAccountGroupOutline, mdiCellphoneKey, mdiClipboardTextClockOutline, mdiCogOutline, mdiHistory, mdiHomeOutline,
  mdiKeyOutline, mdiRouterNetwork, mdiServerOutline, mdiAccountPlusOutline,
} from '@mdi/js'
import type { Messages } from '@/messages'

export interface Place {
  path: string
  icon: string
  label: keyof Messages['frame'] & ('home' | 'invite' | 'devices' | 'history' | 'settings' | Administered)
  /** After "g", this key leads there. */
  key?: string
}

type Administered = 'users' | 'services' | 'grants' | 'sites' | 'audit'

/** The five places of everybody, in the order of the tabs. */
export const places: Place[] = [
  { path: '/', icon: mdiHomeOutline, label: 'home', key: 'h' },
  { path: '/invitations', icon: mdiAccountPlusOutline, label: 'invite', key: 'i' },
  { path: '/devices', icon: mdiCellphoneKey, label: 'devices', key: 'd' },
  { path: '/history', icon: mdiHistory, label: 'history', key: 'y' },
  { path: '/settings', icon: mdiCogOutline, label: 'settings', key: 's' },
]

/** What only admins see. */
export const administration: Place[] = [
  { path: '/admin/users', icon: mdiAccountGroupOutline, label: 'users' },
  { path: '/admin/services', icon: mdiServerOutline, label: 'services' },
  { path: '/admin/grants', icon: mdiKeyOutline, label: 'grants' },
  { path: '/admin/sites', icon: mdiRouterNetwork, label: 'sites' },
  { path: '/admin/audit', icon: mdiClipboardTextClockOutline, label: 'audit' },
]
