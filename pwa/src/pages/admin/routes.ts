import type { RouteRecordRaw } from 'vue-router'

export const adminRoutes: RouteRecordRaw[] = [
  {
    path: '/admin/users',
    component: () => import('./UsersPage.vue'),
    meta: { title: (t) => t.user.title, admin: true },
    children: [
      {
        path: 'new',
        component: () => import('./NewUserSheet.vue'),
        meta: { title: (t) => t.user.addTitle, admin: true, sheet: true },
      },
      {
        path: ':id',
        component: () => import('./UserDetail.vue'),
        meta: { title: (t) => t.user.title, admin: true },
      },
    ],
  },
  {
    path: '/admin/services',
    component: () => import('./ServicesPage.vue'),
    meta: { title: (t) => t.frame.services, admin: true },
    children: [
      {
        path: ':id',
        component: () => import('./ServiceDetail.vue'),
        meta: { title: (t) => t.frame.services, admin: true },
      },
    ],
  },
  {
    path: '/admin/grants',
    component: () => import('./GrantsPage.vue'),
    meta: { title: (t) => t.grant.title, admin: true },
  },
  {
    path: '/admin/sites',
    component: () => import('./SitesPage.vue'),
    meta: { title: (t) => t.frame.sites, admin: true },
    children: [
      {
        path: 'pair',
        component: () => import('./PairSheet.vue'),
        meta: { title: (t) => t.siteAdmin.pairTitle, admin: true, sheet: true },
      },
      {
        path: ':id/pair',
        component: () => import('./PairSheet.vue'),
        meta: { title: (t) => t.siteAdmin.pairTitle, admin: true, sheet: true },
      },
      {
        path: ':id',
        component: () => import('./SiteDetail.vue'),
        meta: { title: (t) => t.frame.sites, admin: true },
      },
    ],
  },
  {
    path: '/admin/audit',
    component: () => import('./AuditPage.vue'),
    meta: { title: (t) => t.audit.title, admin: true },
  },
]
