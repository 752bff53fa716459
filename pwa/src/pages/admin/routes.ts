import type { RouteRecordRaw } from 'vue-router'
import { withWords } from '@/messages'

export const adminRoutes: RouteRecordRaw[] = [
  {
    path: '/admin/users',
    component: withWords('user', () => import('./UsersPage.vue')),
    meta: { title: (t) => t.user.title, admin: true },
    children: [
      {
        path: 'new',
        component: withWords('user', () => import('./NewUserSheet.vue')),
        meta: { title: (t) => t.user.addTitle, admin: true, sheet: true },
      },
      {
        path: ':id',
        component: withWords('user', () => import('./UserDetail.vue')),
        meta: { title: (t) => t.user.title, admin: true },
      },
    ],
  },
  {
    path: '/admin/services',
    component: withWords('services', () => import('./ServicesPage.vue')),
    meta: { title: (t) => t.frame.services, admin: true },
    children: [
      {
        path: ':id',
        component: withWords('services', () => import('./ServiceDetail.vue')),
        meta: { title: (t) => t.frame.services, admin: true },
      },
    ],
  },
  {
    path: '/admin/grants',
    component: withWords('grant', () => import('./GrantsPage.vue')),
    meta: { title: (t) => t.grant.title, admin: true },
  },
  {
    path: '/admin/sites',
    component: withWords('siteAdmin', () => import('./SitesPage.vue')),
    meta: { title: (t) => t.frame.sites, admin: true },
    children: [
      {
        path: 'pair',
        component: withWords('siteAdmin', () => import('./PairSheet.vue')),
        meta: { title: (t) => t.siteAdmin.pairTitle, admin: true, sheet: true },
      },
      {
        path: ':id/pair',
        component: withWords('siteAdmin', () => import('./PairSheet.vue')),
        meta: { title: (t) => t.siteAdmin.pairTitle, admin: true, sheet: true },
      },
      {
        path: ':id',
        component: withWords('siteAdmin', () => import('./SiteDetail.vue')),
        meta: { title: (t) => t.frame.sites, admin: true },
      },
    ],
  },
  {
    path: '/admin/audit',
    component: withWords('audit', () => import('./AuditPage.vue')),
    meta: { title: (t) => t.audit.title, admin: true },
  },
  {
    path: '/admin/audit/refusals',
    component: withWords('refusal', () => import('./RefusalsPage.vue')),
    meta: { title: (t) => t.refusal.title, admin: true },
  },
]
