// A server that plays ownline-web for the built pages: with its content policy, and a household
// that stands still. What a page asks for with the header X-Demo is told in another state:
//
//   empty     there is nothing yet
//   slow      no list is answered
//   broken    lists fail
//   down      the core of one site can't be reached
//   soon      a session ends within five minutes
//   ends      the sign-in ends within five minutes
//   out       nobody is signed in; code, change, throttled: how the sign-in then goes on
//   disabled  an admin has just disabled whoever was signed in
//   user      somebody is signed in who is no admin
//   new       somebody is signed in who has no factors but a password
//   refusing  core refuses what it is asked for; taken, long, noway: web does, and says why
//   away      the server can't be reached
//   named     everything has as long a name as people may give it
//   inside, shared, network, unsure, private: where the page is asked from
//   used, expired, revoked, guest-inside, unavailable, running: how an invitation stands
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { closing, endingIn, fwknopClient, household, ids, invited, me, noon, opened, pending, redeemed, whoami } from './data.mjs'

const web = (path) => fileURLToPath(new URL(`../../internal/web/${path}`, import.meta.url))
const dist = process.env.DIST ?? web('ui/dist')
const guests = web('guestpage/dist')
const kinds = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png',
  '.woff2': 'font/woff2', '.webmanifest': 'application/manifest+json', '.txt': 'text/plain; charset=utf-8',
}
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; connect-src 'self'; " +
  "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'; trusted-types vue ownline-sw"
const guestPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"

const started = Date.now()
const world = household()
/** The lists that have a name of their own in the API. */
const lists = { 'me/passkeys': 'passkeys', notifications: 'channels' }
const signedOut = new Set(['out', 'code', 'change', 'throttled'])

class Refused extends Error {
  constructor(status, detail, more = {}, headers = {}) {
    super(detail)
    Object.assign(this, { status, more, headers })
  }
}
const about = (field, message, code) => ({ errors: [{ location: `body.${field}`, message, code }] })

function items(name, query, demo) {
  if (demo === 'empty') return []
  if (name === 'sites' && demo === 'down') {
    return world.sites.map((one, index) => (index === 0 ? { ...one, connected: false, error: 'no answer from home.example.org' } : one))
  }
  if (name === 'audit' && query.get('action') === 'knock') return world.audit.filter(({ action }) => action === 'knock')
  if (name !== 'sessions') return world[name]
  if (query.get('invitation')) return world.visits
  if (demo === 'soon') return [endingIn(4 * 60_000), ...world.sessions.slice(1)]
  const state = query.get('state')
  if (state === 'ended') return world.ended
  return state || query.get('live') ? world.sessions : [...world.sessions, ...world.ended]
}

/** What people name, and may name as they like. */
const naming = new Set(['name', 'service_name', 'user_name', 'site_name', 'device_name', 'actor_name'])
const long = (name) => `${name}-of-the-${'donaudampfschifffahrtsgesellschaft'.slice(0, 20 + (name.length % 15))}`
const namedAtLength = (value) => JSON.parse(JSON.stringify(value ?? null, (key, each) => (naming.has(key) && typeof each === 'string' ? long(each) : each)))

const profile = 'ownline://home.example.org:54754/?v=1&site=00000002&device=00000005&key=c29tZSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcw&name=phone'
const enrolled = (one) => ({ ...one, qr: '', ...(one.fwknop ? { profile: '', fwknop_client: fwknopClient(one.fwknop) } : { profile }) })
const changes = {
  'POST auth/login'(_, demo) {
    if (demo === 'change') return { ...me, must_change_password: true }
    if (demo === 'throttled') throw new Refused(429, 'too many tries', {}, { 'Retry-After': '120' })
    if (demo !== 'code') throw new Refused(401, 'the name or the password is not right')
    const more = { type: 'urn:ownline:problem:second-factor', challenge: 'c', factors: ['totp', 'recovery_code', 'passkey'] }
    throw new Refused(401, 'a second factor is wanted', more)
  },
  'POST auth/second-factor'() {
    throw new Refused(401, 'the code is not right')
  },
  'POST auth/passkey/options': () => ({ challenge: 'c', options: { challenge: 'AAAA', rpId: 'localhost', allowCredentials: [], userVerification: 'preferred' } }),
  'POST auth/setup': () => me,
  'POST tokens': ({ name, scopes }) => ({ ...world.tokens[0], id: ids.user, name, scopes, token: 'own_8sQ1kfZ0tq4Y7c2mXw5Lr9' }),
  'POST me/totp': () => ({ secret: 'JBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Ownline:ana?secret=JBSWY3DPEHPK3PXP', qr: '' }),
  'POST me/totp/confirm': () => ({ recovery_codes: Array.from({ length: 10 }, (_, n) => `k${n}fm-72xq-d${n}wp`) }),
  'POST me/recovery-codes'() {
    throw new Refused(403, 'it has to be proved who is there', { type: 'urn:ownline:problem:proof' })
  },
  'POST invitations': () => ({ ...world.invitations[0], link: 'https://ownline.example.org/i/#3Qm5c0Yl2b8vUu3nB7sR6gKq1', secret: 'x' }),
  'POST devices': ({ name, fwknop }) => enrolled({ ...world.devices[0], name, fwknop }),
  'POST users': ({ name, role }) => ({ ...world.users[1], name, role }),
  'POST sessions'({ service }, demo) {
    switch (demo) {
      case 'refusing':
        throw new Refused(503, 'the firewall refused the rule')
      case 'taken':
        throw new Refused(409, 'the port is in use', about('public_port', 'is in use'))
      case 'long':
        throw new Refused(422, 'it would be longer than the grant', about('for', 'is longer than the grant'))
      case 'noway':
        throw new Refused(403, 'there is no grant')
      default:
        return opened(world.services.findIndex(({ id }) => id === service) + 1)
    }
  },
  'POST sites'(_, demo) {
    if (demo === 'refusing') throw new Refused(503, 'no answer')
    throw new Refused(422, 'the code does not fit', about('code', 'the code is older than 10 minutes; run `ownline-core pair` again', 'pairing_old'))
  },
  'POST invitations/preview'(_, demo) {
    if (demo === 'unavailable') throw new Refused(503, 'core is away')
    if (demo === 'noway') throw new Refused(404, 'unknown')
    if (demo === 'guest-inside') return { ...invited, inside: 'https://photos.home.example.org:9999/' }
    if (demo === 'shared') return { ...invited, source: '100.72.3.4' }
    if (demo === 'running') return { ...invited, opened: redeemed }
    return { ...invited, state: ['used', 'expired', 'revoked'].includes(demo) ? demo : 'valid' }
  },
  'POST invitations/redeem'(_, demo) {
    if (demo === 'refusing') throw new Refused(403, 'your country is not let in')
    return redeemed
  },
  'POST invitations/leave': () => undefined,
}

const unknownCountries = 'has countries, and nobody knows where addresses are: set policy.geoip_database in web.yaml, or name networks alone'

const places = {
  inside: { address: '192.168.1.77', kind: 'private', source: undefined },
  shared: { address: '100.72.3.4', kind: 'carrier_nat' },
  network: { address: '2001:db8:7:1::24', family: 6, source: '2001:db8:7:1::/64' },
  unsure: { forwarded: true },
}

function change(method, path, body, demo) {
  const made = changes[`${method} ${path}`]
  if (made) return made(body, demo)
  const [list, one, what] = path.split('/')
  const found = world[list]?.find(({ id }) => id === one)
  switch (`${method} ${list}/ID${what ? `/${what}` : ''}`) {
    case 'POST sites/ID/ping':
      return { round_trip_ms: one === ids.site ? 12 : 48 }
    case 'POST sites/ID/reach':
      return demo === 'refusing' ? { answered: false, failure: 'refused' } : { answered: true, took_ms: 3.2 }
    case 'POST services/ID/preview':
      return { text: 'server {\n  listen 9999 ssl;\n  server_name photos.home.example.org;\n}\n' }
    case 'POST devices/ID/rotate':
      return enrolled(found)
    case 'DELETE sessions/ID':
      return { ...found, state: 'ended', reason: 'closed', ended: closing(0) }
    case 'POST sessions/ID/renew':
      return { ...found, expires: closing(50 * 60_000) }
    case 'PATCH sites/ID':
    case 'PATCH devices/ID':
    case 'PATCH grants/ID':
      if (body.allowed_from) throw new Refused(422, 'the list is not good', about('allowed_from', unknownCountries))
      return { ...found, ...body }
    case 'PATCH users/ID':
      return { ...found, ...body }
    default:
      throw new Refused(409, 'this is a demo')
  }
}

function answer(method, path, query, demo, body) {
  if (signedOut.has(demo) && !path.startsWith('auth/')) throw new Refused(401, 'nobody is signed in')
  if (method !== 'GET') return change(method, path, body, demo)
  switch (path) {
    case 'auth/login':
      if (signedOut.has(demo)) return {}
      return { me: { ...me, ...(demo === 'user' && { role: 'user' }), ...(demo === 'ends' && { until: closing(4.5 * 60_000 + Date.now() - started) }) } }
    case 'whoami':
      return { ...whoami, ...places[demo] }
    case 'about':
      return { version: '1.4.0' }
    case 'auth/methods':
      return { password: true, passkeys: true, oidc: { name: 'Family login' } }
    case 'auth/oidc/link':
      return { items: [] }
    case 'me/factors':
      return demo === 'new' ? { password: true, totp: false, recovery_codes: 0, passkeys: 0 } : { password: true, totp: true, recovery_codes: 8, passkeys: 2 }
    case 'broker':
      return { configured: true, connected: demo !== 'down', error: 'the connection was lost', embedded: { serving: true, clients: 3, refused_logins: 0 } }
    case 'icons':
      return { items: [] }
    case `sites/${ids.cabin}/pending`:
      return pending
    case `sites/${ids.site}/pending`:
      return { ...pending, total: 0, sessions: [] }
    default:
  }
  const [name, one, more] = path.split('/')
  const list = lists[path] ?? name
  if (one && !lists[path] && world[list] && !more) {
    const found = [...world[list], ...world.ended].find((item) => item.id === one)
    if (found) return found
    throw new Refused(404, 'is not there')
  }
  if (path === 'logins/attempts') return { items: [] }
  if (!world[list] || demo === 'broken') throw new Refused(world[list] ? 500 : 404, 'the database is gone')
  return { items: demo === 'new' && list === 'passkeys' ? [] : items(list, query, demo) }
}

const zipped = new Map()
/** A file of the build as the server sends it: compressed, and kept by browsers under its own name. */
async function file(path, request, response) {
  const guest = path === '/i' || path.startsWith('/i/')
  if (path === '/i/config.json') {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    return response.end('{"way":"api"}')
  }
  const name = extname(path) ? path.slice(guest ? 2 : 0) : '/index.html'
  const whole = join(guest ? guests : dist, name)
  const kind = kinds[extname(name)] ?? 'application/octet-stream'
  let content = await readFile(whole)
  const headers = {
    'Content-Type': kind, 'Content-Security-Policy': guest ? guestPolicy : policy, 'X-Content-Type-Options': 'nosniff',
    'Cache-Control': name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  }
  if (/text|json|svg/.test(kind) && /gzip/.test(request.headers['accept-encoding'] ?? '')) {
    if (!zipped.has(whole)) zipped.set(whole, gzipSync(content, { level: 9 }))
    content = zipped.get(whole)
    headers['Content-Encoding'] = 'gzip'
  }
  response.writeHead(200, headers)
  return response.end(content)
}

async function serve(request, response) {
  const url = new URL(request.url, 'http://demo')
  const demo = request.headers['x-demo'] ?? ''
  response.setHeader('Date', new Date(noon + Date.now() - started).toUTCString())
  if (!url.pathname.startsWith('/api/')) return file(url.pathname, request, response)
  if (demo === 'away') return request.socket.destroy()
  const path = url.pathname.replace('/api/v1/', '')
  if (path === 'events') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    return void response.write(demo === 'disabled' ? 'event: end\ndata: {"reason": "disabled"}\n\n' : ': here\n\n')
  }
  if (demo === 'slow' && path !== 'auth/login') return undefined
  let body = ''
  for await (const chunk of request) body += chunk
  const say = (status, value, kind = 'application/json') => {
    response.writeHead(status, { 'Content-Type': kind })
    response.end(value === undefined ? '' : JSON.stringify(value))
  }
  try {
    const told = answer(request.method, path, url.searchParams, demo, body ? JSON.parse(body) : {})
    const value = demo === 'named' && told !== undefined ? namedAtLength(told) : told
    const done = request.method === 'POST' ? 201 : 200
    say(value === undefined ? 204 : done, value)
  } catch (error) {
    for (const [name, value] of Object.entries(error.headers ?? {})) response.setHeader(name, value)
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
