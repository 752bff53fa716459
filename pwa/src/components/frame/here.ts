import { useRoute } from 'vue-router'
import type { Place } from './places'

/** Returns what tells whether a place is the one that is shown, or holds what is shown. */
export function useHere(): (place: Place) => boolean {
  const route = useRoute()
  return ({ path }) => {
    // The sheets of a service and of a session stand over the dashboard.
    if (path === '/') return /^\/(?:$|services(?:\/|$)|sessions\/)/.test(route.path)
    return route.path === path || route.path.startsWith(`${path}/`)
  }
}
