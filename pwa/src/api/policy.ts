/** What this page may connect to, as its content policy says; undefined where that can't be told. */
async function connections(): Promise<string[] | undefined> {
  try {
    // The service worker keeps the page together with the policy that it came with.
    const kept = navigator.serviceWorker?.controller ? await caches.match('/') : undefined
    const page = kept ?? (await fetch('/'))
    return /connect-src ([^;]*)/.exec(page.headers.get('Content-Security-Policy') ?? '')?.[1]?.split(' ')
  } catch {
    return undefined
  }
}

/** Whether the browser will not let this page connect there: it is none of this Ownline's. */
export async function barred(address: string): Promise<boolean> {
  const { host, origin } = new URL(address)
  const allowed = await connections()
  if (!allowed) return false
  return !allowed.some((one) => (one === "'self'" ? host === location.host : URL.canParse(one) && new URL(one).origin === origin))
}
