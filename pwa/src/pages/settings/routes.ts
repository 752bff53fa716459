import type { RouteRecordRaw } from 'vue-router'
import { withWords } from '@/messages'

export const settingsRoutes: RouteRecordRaw[] = [
  {
    path: '/settings',
    component: withWords('settings', () => import('./SettingsPage.vue')),
    meta: { title: (t) => t.settings.title },
    children: [
      {
        path: 'look',
        component: withWords('settings', () => import('./LookPage.vue')),
        meta: { title: (t) => t.settings.look },
      },
      {
        path: 'sign-in',
        component: withWords('settings', () => import('./SignInPage.vue')),
        meta: { title: (t) => t.settings.signIn },
      },
      {
        path: 'tokens',
        component: withWords('settings', () => import('./TokensPage.vue')),
        meta: { title: (t) => t.settings.tokens },
      },
      {
        path: 'notifications',
        component: withWords('settings', () => import('./NotificationsPage.vue')),
        meta: { title: (t) => t.settings.notifications },
      },
      {
        path: 'app',
        component: withWords('settings', () => import('./ThisAppPage.vue')),
        meta: { title: (t) => t.settings.thisApp },
      },
    ],
  },
]
