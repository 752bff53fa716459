import type { RouteRecordRaw } from 'vue-router'

export const settingsRoutes: RouteRecordRaw[] = [
  {
    path: '/settings',
    component: () => import('./SettingsPage.vue'),
    meta: { title: (t) => t.settings.title },
    children: [
      {
        path: 'look',
        component: () => import('./LookPage.vue'),
        meta: { title: (t) => t.settings.look },
      },
      {
        path: 'sign-in',
        component: () => import('./SignInPage.vue'),
        meta: { title: (t) => t.settings.signIn },
      },
      {
        path: 'tokens',
        component: () => import('./TokensPage.vue'),
        meta: { title: (t) => t.settings.tokens },
      },
      {
        path: 'notifications',
        component: () => import('./NotificationsPage.vue'),
        meta: { title: (t) => t.settings.notifications },
      },
      {
        path: 'app',
        component: () => import('./ThisAppPage.vue'),
        meta: { title: (t) => t.settings.thisApp },
      },
    ],
  },
]
