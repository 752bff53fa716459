import { nextTick } from 'vue'
import { createRouter, createWebHistory, type Router, START_LOCATION } from 'vue-router'
import { read } from './device/shelf'
import { withWords, type Messages } from './messages'
import { adminRoutes } from './pages/admin/routes'
import { settingsRoutes } from './pages/settings/routes'
import { useAccount } from './stores/account'
import { lastKnown } from './stores/known'
import { useStartPage } from './stores/startPage'

declare module 'vue-router' {
  interface RouteMeta {
    title: (t: Messages) => string
    /** Shown without anybody signed in, and without the frame. */
    open?: boolean
    /** Shown without the frame. */
    bare?: boolean
    /** For admins; others are told so. */
    admin?: boolean
    /** A sheet over the page of its parent: it takes the focus by itself. */
    sheet?: boolean
  }
}

/** How long the server has for its first answer, in milliseconds: where this browser can knock, and elsewhere. */
const dark = 3000
const slow = 15_000

/** The app's routes. Pages other than open ones lead through the sign-in. */
export function makeRouter(): Router {
  const router = createRouter({
    history: createWebHistory(),
    // Back finds the place; a sheet leaves its page where it is, and so does a filter.
    scrollBehavior: (to, from, saved) => {
      if (to.matched[0] === from.matched[0]) return false
      return saved ?? { top: 0 }
    },
    routes: [
      {
        path: '/',
        component: () => import('./pages/HomePage.vue'),
        meta: { title: (t) => t.app.home },
        children: [
          {
            path: 'services/:id',
            component: withWords('sheet', () => import('./pages/ServiceSheet.vue')),
            meta: { title: (t) => t.app.home, sheet: true },
          },
          {
            path: 'sessions/:id',
            component: withWords('sheet', () => import('./pages/SessionSheet.vue')),
            meta: { title: (t) => t.app.home, sheet: true },
          },
        ],
      },
      {
        path: '/services',
        component: () => import('./pages/ServicesPage.vue'),
        meta: { title: (t) => t.service.title },
      },
      {
        path: '/invitations',
        component: withWords('invitation', () => import('./pages/InvitationsPage.vue')),
        meta: { title: (t) => t.invitation.title },
        children: [
          {
            path: 'new',
            component: withWords('invitation', () => import('./pages/InviteSheet.vue')),
            meta: { title: (t) => t.invitation.invite, sheet: true },
          },
          {
            path: ':id',
            component: withWords('invitation', () => import('./pages/InvitationSheet.vue')),
            meta: { title: (t) => t.invitation.title, sheet: true },
          },
        ],
      },
      {
        path: '/devices',
        component: withWords('device', () => import('./pages/DevicesPage.vue')),
        meta: { title: (t) => t.device.title },
        children: [
          {
            path: 'new',
            component: withWords('device', () => import('./pages/AddDeviceSheet.vue')),
            meta: { title: (t) => t.device.add, sheet: true },
          },
          {
            path: ':id',
            component: withWords('device', () => import('./pages/DeviceSheet.vue')),
            meta: { title: (t) => t.device.title, sheet: true },
          },
        ],
      },
      {
        path: '/history',
        component: withWords('history', () => import('./pages/HistoryPage.vue')),
        meta: { title: (t) => t.history.title },
        children: [
          {
            path: ':id',
            component: withWords('sheet', () => import('./pages/SessionSheet.vue')),
            meta: { title: (t) => t.history.title, sheet: true },
          },
        ],
      },
      ...settingsRoutes,
      ...adminRoutes,
      {
        path: '/login',
        component: () => import('./pages/LoginPage.vue'),
        meta: { title: (t) => t.login.submit, open: true },
      },
      {
        path: '/client',
        component: withWords('client', () => import('./pages/ClientPage.vue')),
        meta: { title: (t) => t.client.title, open: true },
      },
      {
        path: '/continue',
        component: () => import('./pages/ContinuePage.vue'),
        meta: { title: (t) => t.pass.title, bare: true },
      },
      {
        path: '/setup',
        component: withWords('setup', () => import('./pages/SetupPage.vue')),
        meta: { title: (t) => t.setup.title, open: true },
      },
      {
        path: '/:rest(.*)*',
        component: () => import('./pages/MissingPage.vue'),
        meta: { title: (t) => t.app.missing, open: true },
      },
    ],
  })

  router.beforeEach(async (to, from) => {
    const account = useAccount()
    if (to.meta.open && to.path !== '/login') return true
    // Whoever was never here is not asked for: they see the sign-in at once.
    if (to.path === '/login' && account.state === 'unknown' && !lastKnown()) account.leave()
    if (account.state === 'unknown') {
      const enrolled = (await read()) !== undefined
      const signal = AbortSignal.timeout(enrolled ? dark : slow)
      const state = await account.load({ signal, before: lastKnown() })
      const dead = state === 'unreachable' || state === 'away'
      // Launched where no server answers: who can knock most likely wants to.
      if (dead && enrolled && from.matched.length === 0) return '/client'
    }
    if (to.path === '/login') return account.state === 'in' ? '/' : true
    if (account.state === 'out') return { path: '/login', query: { next: to.fullPath } }
    // Launched, or just signed in, without a page in mind.
    const launched = from === START_LOCATION || from.path === '/login'
    return launched && to.fullPath === '/' && useStartPage().path !== '/' ? useStartPage().path : true
  })

  router.afterEach(async (to, from, failure) => {
    if (failure) return
    // The first page keeps the browser's focus, so that the skip link comes first.
    if (from.matched.length === 0 || to.path === from.path || to.meta.sheet || from.meta.sheet) return
    await nextTick()
    document.querySelector('h1')?.focus()
  })

  return router
}
