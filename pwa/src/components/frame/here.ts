import { useRoute } from 'vue-router'
import type { Place } from './places'

/** Returns what tells whether a place is the one that is shown, or holds what is shown; tabs have only five of them. */
export function useHere(tabs = false): (place: Place) => boolean {
  const route = useRoute()
  return ({ path }) => {
    // The sheets of a service and of a session stand over the dashboard.
    if (path === '/') return /^\/(?:$|services(?:\/|$)|sessions\/)/.test(route.path)
    // On a phone the settings lead to the administration.
    if (tabs && path === '/settings' && route.path.startsWith('/admin/')) return true
    return route.path === path || route.path.startsWith(`${path}/`)
  }
}
