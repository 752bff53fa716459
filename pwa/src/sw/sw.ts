/// <reference lib="webworker" />
/**
 * The service worker: keeps the whole build, so that the app starts with no server in reach. It
 * answers for pages and files of the build alone; the API, and the page for guests, it never touches.
 */
declare const self: ServiceWorkerGlobalScope
/** What build/worker.ts puts in front. */
declare const build: { version: string; files: string[] }

const prefix = 'ownline-build-'
const cacheName = prefix + build.version
const kept = new Set(build.files)
/** Addresses below these are no pages of the app. */
const others = /^\/(api|i)(\/|$)|^\/(healthz|readyz|licences\.txt)$/

async function keep(): Promise<void> {
  const cache = await caches.open(cacheName)
  await Promise.all(
    build.files.map(async (file) => {
      // What has its hash in its name can't be stale.
      const mode = file.startsWith('/assets/') ? 'default' : 'reload'
      const response = await fetch(new Request(file, { cache: mode }))
      if (!response.ok) throw new Error(`${file}: ${response.status}`)
      await cache.put(file, response)
    }),
  )
}

async function removeOld(): Promise<void> {
  const names = await caches.keys()
  await Promise.all(names.filter((name) => name.startsWith(prefix) && name !== cacheName).map((name) => caches.delete(name)))
}

async function answer(file: string, request: Request): Promise<Response> {
  const cache = await caches.open(cacheName)
  return (await cache.match(file)) ?? fetch(request)
}

self.addEventListener('install', (event) => event.waitUntil(keep()))

self.addEventListener('activate', (event) => event.waitUntil(removeOld()))

self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin) return
  if (request.mode === 'navigate') {
    if (!others.test(url.pathname)) event.respondWith(answer('/', request))
  } else if (kept.has(url.pathname) && url.pathname !== '/') {
    event.respondWith(answer(url.pathname, request))
  }
})

// The page that shows "A new version is ready" says when.
self.addEventListener('message', (event) => {
  if (event.data === 'take over') void self.skipWaiting()
})

// A notification leads to the page that it speaks of: in a window that is there, or a new one.
self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  const { path } = event.notification.data as { path: string }
  const open = async (): Promise<void> => {
    const [page] = await self.clients.matchAll({ type: 'window' })
    if (!page) return void (await self.clients.openWindow(path))
    await page.focus()
    // The page goes there by itself: loaded anew it would forget what was typed.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window
    page.postMessage({ open: path })
  }
  event.waitUntil(open())
})
