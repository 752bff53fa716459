// A server that plays ownline-web for the built pages: with its content policy, and a household
// that stands still. What a page asks for with the header X-Demo is told in another state:
//
//   empty     there is nothing yet
//   slow      no list is answered
//   broken    lists fail
//   down      the core of one site can't be reached
//   soon      a session ends within five minutes
//   out       nobody is signed in
//   user      somebody is signed in who is no admin
//   away      the server can't be reached
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endingIn, household, ids, me, noon, whoami } from './data.mjs'

const dist = fileURLToPath(new URL('../../internal/web/ui/dist', import.meta.url))
const kinds = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png',
  '.woff2': 'font/woff2', '.webmanifest': 'application/manifest+json', '.txt': 'text/plain; charset=utf-8',
}
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; connect-src 'self'; " +
  "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'; trusted-types vue ownline-sw"

const started = Date.now()
const world = household()
/** The lists that have a name of their own in the API. */
const lists = { 'me/passkeys': 'passkeys', notifications: 'channels' }

class Refused extends Error {
  constructor(status, detail, more = {}) {
    super(detail)
    Object.assign(this, { status, more })
  }
}

function items(name, query, demo) {
  if (demo === 'empty') return []
  if (name === 'sites' && demo === 'down') {
    return world.sites.map((one, index) => (index === 0 ? { ...one, connected: false, error: 'no answer from home.example.org' } : one))
  }
  if (name !== 'sessions') return world[name]
  if (demo === 'soon') return [endingIn(4 * 60_000), ...world.sessions.slice(1)]
  const state = query.get('state')
  if (state === 'ended') return world.ended
  return state || query.get('live') ? world.sessions : [...world.sessions, ...world.ended]
}

const changes = {
  'POST auth/login': () => {
    throw new Refused(401, 'the name or the password is not right')
  },
  'POST tokens': ({ name, scopes }) => ({ ...world.tokens[0], id: ids.user, name, scopes, token: 'own_8sQ1kfZ0tq4Y7c2mXw5Lr9' }),
  'POST me/totp': () => ({ secret: 'JBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Ownline:ana?secret=JBSWY3DPEHPK3PXP', qr: '' }),
  'POST me/totp/confirm': () => ({ recovery_codes: Array.from({ length: 10 }, (_, n) => `k${n}fm-72xq-d${n}wp`) }),
  'POST invitations': () => ({ ...world.invitations[0], link: 'https://ownline.example.org/i#3Qm5c0Yl2b8vUu3nB7sR6g', secret: 'x' }),
  'POST devices': ({ name }) => ({
    ...world.devices[0], name,
    profile: 'ownline://home.example.org:54754/?device=00000005&key=c29tZSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcw&name=phone', qr: '',
  }),
}

function answer(method, path, query, demo, body) {
  if (demo === 'out' && path !== 'auth/methods' && !path.startsWith('auth/')) throw new Refused(401, 'nobody is signed in')
  if (method !== 'GET') {
    const change = changes[`${method} ${path}`]
    if (!change) throw new Refused(409, 'this is a demo')
    return change(body)
  }
  switch (path) {
    case 'me':
      return demo === 'user' ? { ...me, role: 'user' } : me
    case 'whoami':
      return whoami
    case 'about':
      return { version: '1.4.0' }
    case 'auth/methods':
      return { password: true, oidc: { name: 'Family login' } }
    case 'auth/oidc/link':
      return { items: [] }
    case 'me/factors':
      return { password: true, totp: true, recovery_codes: 8, passkeys: 2 }
    case 'broker':
      return { configured: true, connected: true }
    case 'icons':
      return { items: [] }
    default:
  }
  const [name, one, more] = path.split('/')
  const list = lists[path] ?? name
  if (one && !lists[path] && world[list] && !more) {
    const found = [...world[list], ...world.ended].find((item) => item.id === one)
    if (found) return found
    throw new Refused(404, 'is not there')
  }
  if (!world[list]) throw new Refused(404, 'is not there')
  if (demo === 'broken') throw new Refused(500, 'the database is gone')
  return { items: items(list, query, demo) }
}

async function file(path, response) {
  const name = extname(path) ? path : '/index.html'
  const content = await readFile(join(dist, name))
  response.writeHead(200, { 'Content-Type': kinds[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': policy })
  response.end(content)
}

async function serve(request, response) {
  const url = new URL(request.url, 'http://demo')
  const demo = request.headers['x-demo'] ?? ''
  response.setHeader('Date', new Date(noon + Date.now() - started).toUTCString())
  if (!url.pathname.startsWith('/api/')) return file(url.pathname, response)
  if (demo === 'away') return request.socket.destroy()
  const path = url.pathname.replace('/api/v1/', '')
  if (path === 'events') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    return void response.write(': here\n\n')
  }
  if (demo === 'slow' && path !== 'me') return undefined
  let body = ''
  for await (const chunk of request) body += chunk
  const say = (status, value, kind = 'application/json') => {
    response.writeHead(status, { 'Content-Type': kind })
    response.end(JSON.stringify(value))
  }
  try {
    say(request.method === 'POST' ? 201 : 200, answer(request.method, path, url.searchParams, demo, body ? JSON.parse(body) : {}))
  } catch (error) {
    say(error.status ?? 500, { status: error.status, detail: error.message, ...error.more }, 'application/problem+json')
  }
  return undefined
}

/** Starts the demo on a free port; close ends it. */
export async function startDemo() {
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.writeHead(404).end())
  })
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://localhost:${server.address().port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
