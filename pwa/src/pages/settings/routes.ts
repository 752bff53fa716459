import type { RouteRecordRaw } from 'vue-router'

export const settingsRoutes: RouteRecordRaw[] = [
  {
    path: '/settings',
    component: () => import('./SettingsPage.vue'),
    meta: { title: (t) => t.settings.title },
  },
]
