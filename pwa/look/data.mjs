// What the demo shows: a household's Ownline, at noon of a day in May.

export const noon = Date.parse('2030-05-03T12:00:00Z')
const minute = 60_000
const day = 24 * 60 * minute
const at = (milliseconds) => new Date(noon + milliseconds).toISOString()
/** The n-th identifier of a kind. */
const id = (kind, n) => `0000000${kind}-0000-4000-8000-${String(n).padStart(12, '0')}`

const names = [
  'photos', 'music', 'films', 'files', 'mail', 'wiki', 'heating', 'cameras', 'printer', 'router', 'ssh', 'backup',
]
/** Of the built-in icons; what has none is shown by its letters. */
const icons = ['image', 'music', 'film', 'folder', 'mail', 'wiki', 'thermometer', 'camera', 'printer', '', 'terminal', '']

const site = (n, name, change) => ({
  id: id(2, n), name, host: `${name}.example.org`, connected: true, core_version: '1.4.0', created: at(-90 * day),
  last_contact: at(-5000), knock_port: 54754, link: 'dial', firewall: '', applied_revision: 12, wanted_revision: 12,
  proxy: { driver: 'embedded', domain: `${name}.example.org`, port: 9999, serves: true, certificate_expires: at(60 * day) },
  local_networks: ['192.168.1.0/24'], reserved_ports: [], ipv6_prefix: 64, pin: 'sha256:2d711642b726b04401627ca9fbac32f5',
  ...change,
})

const service = (n, name, change) => ({
  id: id(3, n), site: id(2, 1), name, kind: n % 3 === 2 ? 'forward' : 'proxy', transport: 'tcp', icon: icons[n - 1],
  target: `192.168.1.${10 + n}:${name === 'ssh' ? 22 : 8080}`, created: at(-60 * day),
  ...(n % 3 !== 2 && { url: `https://${name}.home.example.org:9999/`, options: { scheme: 'https', headers: { 'X-Script-Name': '/app' } } }),
  ...change,
})

const session = (n, change) => ({
  id: id(4, n), site: id(2, 1), site_name: 'home', user: id(1, 1), user_name: 'ana', service: id(3, n),
  service_name: names[n - 1], source: '203.0.113.24/32', public_port: 20440 + n, transport: 'tcp', target: `192.168.1.${10 + n}:8080`,
  state: 'active', guest: false, opened: at(-10 * minute), expires: at((n * 7 + 13) * minute), address: `home.example.org:${20440 + n}`,
  url: `https://${names[n - 1]}.home.example.org:9999/`,
  traffic: { up_bytes: 3_100_000, up_packets: 4000, down_bytes: 128_000_000, down_packets: 90_000 }, ...change,
})

const reasons = ['expired', 'closed', 'replaced', 'revoked', 'expired', 'flushed', 'failed', 'expired', 'closed', 'expired']
const ended = reasons.map((reason, index) => {
  const end = -(index * 7 + 2) * 60 * minute
  return session((index % 12) + 1, {
    id: id(4, 100 + index), state: 'ended', reason, opened: at(end - 30 * minute), expires: at(end), ended: at(end),
  })
})

const device = (n, name, change) => ({
  id: id(5, n), user: id(1, 1), user_name: 'ana', site: id(2, 1), name, created: at(-30 * day), last_knock: at(-3 * minute),
  last_source: '203.0.113.24', require_claimed_source: false, revoked: false, ...change,
})

const invitation = (n, change) => ({
  id: id(6, n), user: id(1, 1), user_name: 'ana', service: id(3, 1), service_name: 'photos', site: id(2, 1), site_name: 'home',
  for: '1h', created: at(-day), expires: at(2 * day), uses: 3, used: 1, state: 'valid', countries: [],
  message: 'The pictures of Sunday', ...change,
})

const grant = (n, user, of, change) => ({
  id: id(7, n), user: id(1, user), service: id(3, of), automatic: false, allow_reserved: false, require_claimed_source: false, created: at(-30 * day), ...change,
})

/** What was done lately: the server's name of the deed, and what it says of it. */
const deeds = [
  ['session.open', `photos for 203.0.113.24/32, port 9999/tcp to 192.168.1.11:8080 until ${at(20 * minute)}`],
  ['grant.change', `${id(1, 2)} photos up to 1h0m0s -> ${id(1, 2)} photos automatic up to 2h0m0s`],
  ['login.start', 'Linux; Android 10; K'],
  ['device.add', 'phone'],
  ['service.change', 'films forward tcp 192.168.1.13:8080 -> films forward tcp 192.168.1.13:8096'],
  ['knock', 'opened'],
  ['token.add', 'backup script: read, sessions'],
  ['knock', 'renewed'],
]
const line = (n, action, detail) => ({
  id: id(8, n), at: at(-n * 37 * minute), action, actor: id(1, 1), actor_name: 'ana', by: action === 'knock' ? 'knock' : 'login',
  client: '203.0.113.24', subject: id(4, n), detail, site: id(2, 1), site_name: 'home',
})

/** How often knocks were refused: whose, why, how often, and when the first and the latest. */
const refusal = (reason, number, minutes, change) => ({
  reason, number, first: at(-2 * day), latest: at(-minutes * minute), site: id(2, 1), site_name: 'home', ...change,
})
const of = (n, name) => ({ device: id(5, n), device_name: name, user: id(1, 1), user_name: 'ana' })

const agent = (system) => `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36`

/** Every list of the API by its path. */
export function household() {
  return {
    sites: [
      site(1, 'home', { fwknop: true, allowed_from: ['ES', 'PT', 'AS3352', '2001:db8:7::/48'] }),
      site(2, 'cabin', {
        applied_revision: 9, host: 'cabin.example.org', core_version: '1.3.2', clock: "the kernel's clock is not synchronised and web has not told the time yet, so no knock can be taken",
        proxy: { driver: 'nginx', domain: 'cabin.example.org', port: 443, serves: true, root: true, certificate_expires: at(day) },
      }),
    ],
    services: names.map((name, index) => service(index + 1, name)),
    sessions: [1, 2, 3, 4].map((n) => session(n, n === 3 ? { device: id(5, 1), device_name: 'phone' } : {})),
    ended,
    visits: [1, 2].map((n) => session(n, { guest: true })),
    devices: [
      device(1, 'phone', { allowed_from: ['ES'] }),
      device(2, 'laptop', { last_knock: at(-40 * day), last_source: '198.51.100.7' }),
      device(3, 'tablet', { last_knock: undefined, last_source: undefined }),
      device(4, 'old phone', { revoked: true }),
      device(5, 'server', { fwknop: 'sha256', last_knock: at(-5 * day) }),
    ],
    invitations: [
      invitation(1), invitation(2, { used: 3, state: 'used', service_name: 'films' }),
      invitation(3, { state: 'expired', expires: at(-day) }), invitation(4, { state: 'revoked', revoked: at(-day) }),
    ],
    users: ['ana', 'bruno', 'carla', 'dario'].map((name, index) => ({
      id: id(1, index + 1), name, role: index === 0 ? 'admin' : 'user', disabled: index === 3, must_change_password: index === 2,
      created: at(-80 * day),
    })),
    grants: [
      ...names.map((_, index) => grant(index + 1, 1, index + 1, { automatic: index === 0 })),
      grant(20, 2, 1), grant(21, 2, 3, { automatic: true, max_duration: '1h0m0s', allowed_from: ['PT', '198.51.100.0/24'] }), grant(22, 3, 2),
    ],
    refusals: [
      refusal('policy_site', 12, 3, of(1, 'phone')), refusal('policy_site', 2, 300, of(2, 'laptop')),
      refusal('kernel_garbage', 48_213, 1), refusal('kernel_garbage', 9120, 2, { site: id(2, 2), site_name: 'cabin' }),
      refusal('time', 1, 50, { ...of(3, 'tablet'), first: at(-50 * minute) }), refusal('replay', 4, 700),
      refusal('broker_noise', 3, 90, { site: undefined, site_name: undefined }),
    ],
    audit: deeds.map(([action, detail], index) => line(index + 1, action, detail)),
    logins: [
      [true, agent('X11; Linux x86_64'), 'password', 0],
      [false, agent('Linux; Android 10; K'), 'passkey', -2 * 60],
      [false, agent('Windows NT 10.0; Win64; x64'), 'totp', -3 * 24 * 60],
    ].map(([current, said, method, seen], index) => ({
      id: id(9, index + 1), user: id(1, 1), user_name: 'ana', method, address: index === 0 ? '203.0.113.24' : '198.51.100.7',
      agent: said, created: at(-6 * day), seen: at(seen * minute), expires: at(day), current,
    })),
    tokens: [
      { id: id(9, 11), user: id(1, 1), user_name: 'ana', name: 'backup script', scopes: ['read', 'sessions'], created: at(-9 * day), expires: at(80 * day), last_used: at(-40 * minute) },
      { id: id(9, 12), user: id(1, 1), user_name: 'ana', name: 'dashboard in the kitchen', scopes: ['read'], created: at(-2 * day) },
    ],
    passkeys: [
      { id: id(9, 21), name: 'phone', created: at(-50 * day), last_used: at(-2 * 60 * minute), cloned: false },
      { id: id(9, 22), name: 'old key', created: at(-300 * day), cloned: true },
    ],
    channels: [
      { name: 'telegram', service: 'telegram', events: ['session.opened', 'login.ok', 'login.throttled', 'site.down', 'site.up'], waiting: 0, sent: 41, lost: 0, failing: false, last_success: at(-60 * minute) },
      { name: 'mail', service: 'smtp', events: ['site.down', 'site.up'], waiting: 2, sent: 3, lost: 1, failing: true, error: 'the connection was refused' },
    ],
  }
}

export const me = {
  id: id(1, 1), name: 'ana', role: 'admin', created: at(-80 * day), site_count: 2, must_change_password: false,
  limits: { default: 1800, max: 28_800, port_min: 20_000, port_max: 29_999 },
}
export const whoami = { address: '203.0.113.24', family: 4, kind: 'public', forwarded: false, source: '203.0.113.24/32' }
export const ids = {
  fwknop: id(5, 5),
  closed: id(3, 6), tunnel: id(3, 5), forward: id(3, 2), ended: id(4, 101), revoked: id(5, 4), cabin: id(2, 2), guests: id(6, 2), disabled: id(1, 4),
  session: id(4, 1), service: id(3, 1), invitation: id(6, 1), device: id(5, 1), user: id(1, 2), site: id(2, 1) }
const keys = [`${'a2V5IG9mIA'.repeat(4)}aGk=`, `${'aG1hYyBr'.repeat(5)}ZXk=`]
/** What an fwknop client needs. */
export const fwknopClient = (digest = 'sha256') => ({
  stanza: [
    '[home]', 'SPA_SERVER              home.example.org', 'SPA_SERVER_PORT         62201', 'ALLOW_IP                source',
    'USE_HMAC                Y', `HMAC_DIGEST_TYPE        ${digest.toUpperCase()}`, `KEY_BASE64              ${keys[0]}`,
    `HMAC_KEY_BASE64         ${keys[1]}`, '',
  ].join('\n'),
  host: 'home.example.org', port: 62_201, hmac_digest: digest, key_base64: keys[0], hmac_key_base64: keys[1],
  commands: ['backup', 'films', 'ssh'].map((name, n) => ({ service: name, command: `fwknop -n home -A tcp/${20_022 + n} -N ${name}` })),
})
/** The session that ends in so many milliseconds. */
export const endingIn = (milliseconds) => session(1, { expires: at(milliseconds) })
/** What core has still to do at a site that is behind. */
export const pending = {
  known: true, connected: true, applied_revision: 9, wanted_revision: 12, total: 2,
  sessions: [{ wanted: 'open', session: session(2) }, { wanted: 'ended', session: session(5) }],
}
/** The profile of the device "phone", for a broker that nobody listens as. */
export const profile = (origin) =>
  `ownline://home.example.org:54754/?v=1&key=${'c2VjcmV0'.repeat(5)}c2U&site=${id(2, 1)}&device=${id(5, 1)}&name=phone` +
  `&mqtt=${encodeURIComponent(`${origin.replace('http', 'ws')}/mqtt`)}&address=https://address.example.org/`
/** What an invitation shows to the guest who has its link. */
export const invited = {
  state: 'valid', host: 'home.example.org', service: 'photos', icon: 'image', from: 'ana', message: 'The pictures of Sunday', seconds: 3600, left: 2,
  expires: at(2 * day), families: [4, 6], source: '203.0.113.24', time: at(0),
}
export const redeemed = {
  service: 'photos', host: 'home.example.org', port: 20_441, transport: 'tcp', url: 'https://photos.home.example.org:9999/',
  source: '203.0.113.24/32', expires: at(59 * minute), time: at(0),
}
export const opened = (n) => session(n, { id: id(4, 60 + n), expires: at(30 * minute) })
export const closing = (milliseconds) => at(milliseconds)
