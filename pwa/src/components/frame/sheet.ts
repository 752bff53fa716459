import { useRouter } from 'vue-router'

/**
 * Returns what closes a sheet that has a route of its own: back to where it was opened, or to the
 * page below when the link was opened by itself.
 */
export function useSheet(below: string): () => void {
  const router = useRouter()
  const own = router.currentRoute.value.matched.at(-1)
  let closed = false
  return () => {
    // The dialog tells of its end more than once, and one step back is enough.
    // When something else is shown by now, it was left another way.
    if (closed || router.currentRoute.value.matched.at(-1) !== own) return
    closed = true
    if (typeof history.state?.back === 'string') router.back()
    else void router.replace(below)
  }
}
