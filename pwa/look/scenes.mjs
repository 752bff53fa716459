// Every page of the app in the states that are worth a look.
/* oxlint-disable no-underscore-dangle */
import { ids, profile } from './data.mjs'

/** Presses what has that name. */
const press = (name) => async (page) => {
  await page.getByRole('button', { name, exact: true }).and(page.locator(':visible')).last().click()
}
const then = (...steps) => async (page, url) => {
  for (const step of steps) await step(page, url)
}
const fill = (label, value) => (page) => page.getByLabel(label, { exact: true }).last().fill(value)
const pick = (label, value) => (page) => page.getByLabel(label, { exact: true }).last().selectOption(value)
/** Picks one of a few. */
const choose = (name) => (page) => page.getByRole('radio', { name, exact: true }).last().check({ force: true })
const sheet = (page) => page.locator('dialog[open]').last().waitFor()
const shows = (text) => (page) => page.getByText(text).first().waitFor()
const key = (name) => (page) => page.keyboard.press(name)
/** Sets what a store of the app holds, where no server could. */
const store = (name, values) => (page) =>
  page.evaluate(
    ([id, changed]) => void Object.assign(document.querySelector('#app').__vue_app__.config.globalProperties.$pinia._s.get(id), changed),
    [name, values],
  )
/** Loads the page again, with the server in another state. */
const again = (demo) => async (page) => {
  await page.context().setExtraHTTPHeaders({ 'X-Demo': demo })
  await page.reload()
  await page.locator('h1').first().waitFor()
}
const menu = then(press('ana Account'), (page) => page.locator('[popover]:popover-open').waitFor())
const signIn = then(fill('User name', 'ana'), fill('Password', 'not my password'), press('Sign in'))

/** Deriving a key from a passphrase takes its time; here it is not what counts. */
function hurried() {
  const derive = crypto.subtle.deriveKey.bind(crypto.subtle)
  crypto.subtle.deriveKey = (how, ...rest) => derive(how.iterations ? { ...how, iterations: 1 } : how, ...rest)
}
const offered = (page, url) =>
  page.evaluate(
    (text) => document.querySelector('#app').__vue_app__.config.globalProperties.$pinia._s.get('device').offer(text, 'phone'), profile(url),
  )
const enrolled = then(
  (page) => page.getByRole('button', { name: 'Enrol this browser' }).waitFor(), offered,
  fill('New passphrase', 'correct horse'), press('Protect with a passphrase'), shows('203.0.113.24'),
)
const locked = then(enrolled, press('Lock'), (page) => page.getByLabel('Passphrase').waitFor())
const all = ['address', 'sealed', 'taken', 'answer']

/** name: also of the file; the rest as below. */
const setup = [
  { name: 'setup', path: '/setup#c2V0dXA', demo: 'out', shot: true },
  { name: 'setup-wrong', path: '/setup#c2V0dXA', demo: 'out', act: press('Create account') },
  { name: 'setup-passkey', path: '/setup#c2V0dXA', act: then(fill('User name', 'ana'), fill('Password', 'correct horse battery'), press('Create account'), shows('2 of 4')) },
]
setup.push(
  { ...setup[2], name: 'setup-core', act: then(setup[2].act, press('Later'), shows('are paired already')) },
  { ...setup[2], name: 'setup-done', act: then(setup[2].act, press('Later'), shows('are paired already'), press('Next'), shows('4 of 4')) },
  { name: 'setup-used', path: '/setup', demo: 'out' },
)

const login = [
  { name: 'login', path: '/login', demo: 'out', shot: true, spanish: true },
  { name: 'login-wrong', path: '/login', demo: 'out', act: then(signIn, shows('is not right')) },
  { name: 'login-missing', path: '/login', demo: 'out', act: press('Sign in') },
  { name: 'login-throttled', path: '/login', demo: 'throttled', act: then(signIn, shows('Too many tries')) },
  { name: 'login-with-code', path: '/login', demo: 'code', shot: true, act: then(signIn, (page) => page.getByLabel('Enter the 6-digit code').waitFor()) },
  { name: 'login-code-wrong', path: '/login', demo: 'code', act: then(signIn, fill('Enter the 6-digit code', '123456'), shows('or too old')) },
  { name: 'login-recovery', path: '/login', demo: 'code', act: then(signIn, press('Use a recovery code')) },
  { name: 'login-change', path: '/login', demo: 'change', act: then(signIn, (page) => page.getByLabel('New password').waitFor(), press('Sign in')) },
  { name: 'login-disabled', path: '/', demo: 'disabled', act: shows('Your account was disabled') },
  { name: 'login-for-service', path: '/login?next=%2Fcontinue%3Fservice%3Dphotos', demo: 'out' },
]

const home = [
  { name: 'home', path: '/', shot: true, spanish: true },
  { name: 'home-again', path: '/', again: true },
  { name: 'home-empty', path: '/', demo: 'empty', shot: true },
  { name: 'home-loading', path: '/', demo: 'slow', shot: true },
  { name: 'home-failed', path: '/', demo: 'broken' },
  { name: 'home-offline', path: '/', offline: true, shot: true },
  { name: 'home-core-unreachable', path: '/', demo: 'down', shot: true, jumps: true },
  { name: 'home-session-ends-soon', path: '/', demo: 'soon', shot: true },
  { name: 'home-named', path: '/', demo: 'named' },
  { name: 'home-user', path: '/', demo: 'user' },
  { name: 'home-inside', path: '/', demo: 'inside' },
  { name: 'home-shared', path: '/', demo: 'shared' },
  { name: 'home-network', path: '/', demo: 'network' },
  { name: 'home-unsure', path: '/', demo: 'unsure' },
  { name: 'home-paused', path: '/', act: store('live', { paused: true }) },
  { name: 'home-lost', path: '/', act: store('account', { unanswered: true }) },
  { name: 'home-gone', path: '/', act: then(store('account', { unanswered: true }), store('live', { paused: true }), shows('be reached from here')) },
  { name: 'home-moved', path: '/', act: store('address', { before: '203.0.113.24/32', here: { address: '198.51.100.7', family: 4, kind: 'public', forwarded: false, source: '198.51.100.7/32' } }) },
  { name: 'home-sign-in-ends', path: '/', demo: 'ends', jumps: true },
  { name: 'home-sign-in-over', path: '/', act: then(store('account', { state: 'over' }), sheet) },
  { name: 'home-opened', path: '/', act: then((page) => page.getByRole('button', { name: /^mail/i }).click(), shows('mail is open for')) },
  {
    name: 'home-opened-more', path: '/',
    act: then((page) => page.getByRole('button', { name: /^mail/i }).click(), shows('mail is open for'), press('More of mail'), sheet, (page) => page.locator('dialog .toast').waitFor()),
  },
  { name: 'home-closed', path: '/', act: then(press('Close photos'), shows('photos is closed')) },
  { name: 'home-refused', path: '/', demo: 'refusing', act: then((page) => page.getByRole('button', { name: /^mail/i }).click(), shows('was not opened')) },
  { name: 'home-install', path: '/', before: () => localStorage.setItem('ownline.install', '{"opened":2}'), act: (page) => page.evaluate(() => window.dispatchEvent(new Event('beforeinstallprompt', { cancelable: true }))) },
  { name: 'home-no-match', path: '/', act: (page) => page.locator('input[type=search]').fill('nothing like it') },
  { name: 'words-missing', path: '/', misses: /\/assets\/first-/ },
  { name: 'page-missing', path: '/login', demo: 'out', misses: /\/assets\/LoginPage-/ },
  { name: 'page-missing-later', path: '/', misses: /\/assets\/InvitationsPage-/, act: then((page) => page.getByRole('link', { name: 'Invite' }).click(), shows('That page could not be loaded')) },
  { name: 'server-unreachable', path: '/', demo: 'away' },
  { name: 'server-away', path: '/', act: then(shows('photos'), again('away'), shows('be reached from here')) },
  { name: 'account-menu', path: '/', act: menu },
  { name: 'close-all', path: '/', act: then(menu, press('Close all my sessions'), sheet) },
  { name: 'shortcuts', path: '/', act: then(key('?'), sheet) },
  { name: 'sites-panel', path: '/', demo: 'down', act: then((page) => page.getByRole('button', { name: /1 of 2 sites/ }).click(), (page) => page.locator('[popover]:popover-open').waitFor()) },
  { name: 'services', path: '/services' },
  { name: 'missing', path: '/nowhere' },
  { name: 'only-admins', path: '/admin/users', demo: 'user' },
  { name: 'continue-refused', path: '/continue?service=photos' },
]

const sheets = [
  { name: 'service', path: `/services/${ids.closed}`, act: sheet, shot: true },
  { name: 'service-open', path: `/services/${ids.service}`, act: sheet },
  { name: 'service-forward', path: `/services/${ids.forward}`, demo: 'user', act: sheet },
  { name: 'service-other', path: `/services/${ids.closed}`, act: then(sheet, choose('Another'), choose('Other…'), press(/^Open for/)) },
  { name: 'service-failed', path: `/services/${ids.closed}`, demo: 'refusing', act: then(sheet, press(/^Open for/), shows('could not open it')) },
  { name: 'service-long', path: `/services/${ids.closed}`, demo: 'long', act: then(sheet, press(/^Open for/), shows('At most')) },
  { name: 'service-port-taken', path: `/services/${ids.tunnel}`, demo: 'taken', act: then(sheet, fill('Public port', '20443'), press(/^Open for/), shows('is in use')) },
  { name: 'service-port-wrong', path: `/services/${ids.tunnel}`, act: then(sheet, fill('Public port', '80'), press(/^Open for/), shows('Use a number')) },
  { name: 'service-core-unreachable', path: `/services/${ids.closed}`, demo: 'down', act: sheet },
  { name: 'service-missing', path: '/services/none', act: sheet },
  { name: 'session', path: `/sessions/${ids.session}`, act: sheet, shot: true },
  { name: 'session-ended', path: `/sessions/${ids.ended}`, act: sheet },
  { name: 'session-missing', path: '/sessions/none', act: sheet },
]

const invitations = [
  { name: 'invitations', path: '/invitations', shot: true },
  { name: 'invitations-empty', path: '/invitations', demo: 'empty' },
  { name: 'invitations-loading', path: '/invitations', demo: 'slow' },
  { name: 'invitations-failed', path: '/invitations', demo: 'broken' },
  { name: 'invitation-new', path: '/invitations/new', act: then(sheet, choose('Until a day')) },
  { name: 'invitation-created', path: '/invitations/new', shot: true, act: then(sheet, press('Create invitation'), (page) => page.locator('dialog [role=img]').waitFor()) },
  { name: 'invitation', path: `/invitations/${ids.invitation}`, act: sheet },
  { name: 'invitation-revoke', path: `/invitations/${ids.invitation}`, act: then(sheet, press('Revoke'), shows('Revoke this invitation?')) },
]

const guest = [
  { name: 'guest-before', path: '/i/#3Qm5c0Yl2b8vUu3nB7sR6gKq1hJw4tZ9xE8aD2fG5cY', guest: true, shot: true, spanish: true },
]
const guestScene = (name, demo, more) => ({ ...guest[0], shot: false, spanish: false, name: `guest-${name}`, demo, ...more })
guest.push(
  guestScene('after', 'running', { shot: true, spanish: true }),
  guestScene('used', 'used'), guestScene('expired', 'expired'), guestScene('revoked', 'revoked'), guestScene('inside', 'guest-inside'),
  guestScene('shared', 'shared'), guestScene('unavailable', 'unavailable'), guestScene('unknown', 'noway'),
  guestScene('refused', 'refusing', { act: (page) => page.locator('main button').first().click() }),
  guestScene('closed', 'running', { act: async (page) => {
    await page.locator('main button.quiet').last().click()
    await page.locator('main .count').waitFor({ state: 'detached' })
  } }),
  guestScene('incomplete', '', { path: '/i/' }),
)

const devices = [
  { name: 'devices', path: '/devices', shot: true },
  { name: 'devices-empty', path: '/devices', demo: 'empty' },
  { name: 'devices-loading', path: '/devices', demo: 'slow' },
  { name: 'devices-failed', path: '/devices', demo: 'broken' },
  { name: 'device-new', path: '/devices/new', act: then(sheet, press('Show its code'), shows('Give it a name.')) },
  { name: 'device-name-long', path: '/devices/new', act: then(sheet, fill('Name', 'tablet of the kitchen '.repeat(3)), shows('1 character too many')) },
  { name: 'device-enrolment', path: '/devices/new', shot: true, act: then(sheet, fill('Name', 'phone'), press('Show its code'), (page) => page.locator('dialog [role=img]').waitFor()) },
  { name: 'device-fwknop-new', path: '/devices/new', act: then(sheet, pick('What knocks', 'fwknop'), press('Show its keys'), shows('Give it a name.')) },
  {
    name: 'device-fwknop', path: '/devices/new',
    act: then(sheet, pick('What knocks', 'fwknop'), fill('Name', 'server'), press('Show its keys'), (page) => page.locator('dialog [role=img]').waitFor()),
  },
  { name: 'device-fwknop-rotate', path: `/devices/${ids.fwknop}`, act: then(sheet, press('Rotate key'), shows('The old keys stop now')) },
  {
    name: 'device-fwknop-rotated', path: `/devices/${ids.fwknop}`,
    act: then(sheet, press('Rotate key'), shows('The old keys stop now'), (page) => page.locator('dialog[open] button[data-variant=danger]').click(), (page) => page.locator('dialog [role=img]').waitFor()),
  },
  { name: 'device', path: `/devices/${ids.device}`, act: sheet },
  { name: 'device-unsaved', path: `/devices/${ids.device}`, act: then(sheet, fill('Name', 'pocket'), (page) => page.keyboard.press('Escape'), shows('Not saved yet')) },
  { name: 'device-test', path: `/devices/${ids.device}`, act: then(sheet, press('Test it'), shows('Waiting for its next knock')) },
  { name: 'device-origins-wrong', path: `/devices/${ids.device}`, act: then(sheet, fill('Only from', 'ES, FR'), press('Save the list'), shows('nobody knows where addresses are')) },
  { name: 'device-rotate', path: `/devices/${ids.device}`, act: then(sheet, press('Rotate key'), shows('The old key stops now')) },
  { name: 'device-revoke', path: `/devices/${ids.device}`, act: then(sheet, press('Revoke'), shows('Its sessions close at once')) },
  { name: 'device-revoked', path: `/devices/${ids.revoked}`, act: sheet },
]

const history = [
  { name: 'history', path: '/history?reason=expired', shot: true },
  { name: 'history-all', path: '/history' },
  { name: 'history-empty', path: '/history', demo: 'empty' },
  { name: 'history-no-match', path: '/history?reason=expired', demo: 'empty' },
  { name: 'history-loading', path: '/history', demo: 'slow' },
  { name: 'history-failed', path: '/history', demo: 'broken' },
  { name: 'history-session', path: `/history/${ids.ended}`, act: sheet },
]

const signingIn = (name, more) => ({ name: `settings-${name}`, path: '/settings/sign-in', ...more })
const settings = [
  { name: 'settings', path: '/settings', shot: true },
  { name: 'settings-look', path: '/settings/look' },
  signingIn('sign-in', { shot: true }),
  signingIn('sign-in-loading', { demo: 'slow' }),
  signingIn('sign-in-failed', { demo: 'broken' }),
  signingIn('sign-in-new', { demo: 'new' }),
  signingIn('password', { act: then(press('Change password'), sheet, press('Change password')) }),
  signingIn('app', { demo: 'new', act: then(press('Turn on'), sheet) }),
  signingIn('app-off', { act: then(press('Turn off'), sheet) }),
  signingIn('recovery', { demo: 'new', act: then(press('Turn on'), sheet, (page) => page.locator('dialog input').fill('123456'), (page) => page.locator('dialog input').press('Enter'), (page) => page.locator('dialog .codes').waitFor()) }),
  signingIn('proof', { act: then(press('New recovery codes'), sheet) }),
  signingIn('passkey', { act: then(press('Add a passkey'), sheet) }),
  signingIn('passkey-menu', { act: press('More of the passkey “phone”') }),
  signingIn('browsers-end', { act: then(press('Sign out everywhere else'), sheet) }),
  { name: 'settings-tokens', path: '/settings/tokens' },
  { name: 'settings-tokens-empty', path: '/settings/tokens', demo: 'empty' },
  { name: 'settings-tokens-failed', path: '/settings/tokens', demo: 'broken' },
  { name: 'settings-token-wrong', path: '/settings/tokens', act: then(press('New token'), sheet, press('Create token')) },
  {
    name: 'settings-token-made', path: '/settings/tokens',
    act: then(press('New token'), sheet, (page) => page.locator('dialog input:visible').first().fill('grafana'), press('Create token'), (page) => page.locator('dialog code').waitFor()),
  },
  { name: 'settings-token-revoke', path: '/settings/tokens', act: then(press('Revoke the token “backup script”'), sheet) },
  { name: 'settings-notifications', path: '/settings/notifications' },
  { name: 'settings-notifications-user', path: '/settings/notifications', demo: 'user' },
  { name: 'settings-app-page', path: '/settings/app' },
]

const admin = [
  { name: 'users', path: '/admin/users', shot: true },
  { name: 'users-failed', path: '/admin/users', demo: 'broken' },
  { name: 'users-loading', path: '/admin/users', demo: 'slow' },
  { name: 'user-new', path: '/admin/users/new', act: then(sheet, press('Add user')) },
  { name: 'user-made', path: '/admin/users/new', act: then(sheet, fill('User name', 'elena'), press('Add user'), shows('elena is added')) },
  { name: 'user', path: `/admin/users/${ids.user}` },
  { name: 'user-delete', path: `/admin/users/${ids.user}`, act: then(press('Delete'), sheet) },
  { name: 'user-reset', path: `/admin/users/${ids.user}`, act: then(press('Reset sign-in'), sheet) },
  { name: 'user-rename', path: `/admin/users/${ids.user}`, act: then(press('Rename'), sheet) },
  { name: 'services-admin', path: '/admin/services', act: (page) => page.evaluate(() => void document.querySelector('#app').__vue_app__.config.globalProperties.$pinia._s.get('notices').show('A new version is ready.', [{ label: 'Reload' }], { stays: true })) },
  { name: 'services-admin-empty', path: '/admin/services', demo: 'empty' },
  { name: 'service-form', path: `/admin/services/${ids.service}`, shot: true, act: (page) => page.getByLabel('Address in the LAN', { exact: true }).waitFor() },
  { name: 'service-form-wrong', path: '/admin/services/new', act: press('Add service') },
  { name: 'service-form-checked', path: `/admin/services/${ids.service}`, act: then(press('Check target'), shows('Answered in'), (page) => page.getByText('Advanced').click()) },
  { name: 'service-form-refused', path: `/admin/services/${ids.service}`, demo: 'refusing', act: then(press('Check target'), shows('Refused:')) },
  { name: 'service-delete', path: `/admin/services/${ids.service}`, act: then(press('Delete service'), sheet) },
  { name: 'icon-picker', path: `/admin/services/${ids.service}`, shot: true, act: (page) => page.locator('.glyphs').scrollIntoViewIfNeeded() },
  { name: 'icon-upload', path: `/admin/services/${ids.service}`, act: then((page) => page.getByRole('group', { name: 'Icon' }).getByRole('radio', { name: 'Upload' }).check({ force: true }), (page) => page.locator('.upload').scrollIntoViewIfNeeded()) },
  { name: 'grants', path: '/admin/grants', shot: true },
  { name: 'grants-terms', path: '/admin/grants?user=00000001-0000-4000-8000-000000000002', act: (page) => page.getByRole('button', { name: 'Terms: bruno, films' }).click() },
  {
    name: 'grants-origins-wrong', path: '/admin/grants?user=00000001-0000-4000-8000-000000000002',
    act: then((page) => page.getByRole('button', { name: 'Terms: bruno, films' }).click(), fill('Only from', 'FR'), press('Save the list'), shows('nobody knows where addresses are')),
  },
  { name: 'grants-empty', path: '/admin/grants', demo: 'empty' },
  { name: 'sites', path: '/admin/sites', shot: true },
  { name: 'sites-empty', path: '/admin/sites', demo: 'empty' },
  { name: 'sites-down', path: '/admin/sites', demo: 'down', jumps: true },
  { name: 'site', path: `/admin/sites/${ids.cabin}` },
  { name: 'site-menu', path: '/admin/sites', act: press('More of home') },
  { name: 'site-change', path: `/admin/sites/${ids.site}`, act: then(press('Change'), sheet) },
  { name: 'site-origins-wrong', path: `/admin/sites/${ids.site}`, act: then(press('Change'), sheet, fill('Only from', 'FR'), press('Save'), shows('nobody knows where addresses are')) },
  { name: 'site-flush', path: `/admin/sites/${ids.site}`, act: then(press('Close all sessions here'), sheet) },
  { name: 'site-remove', path: `/admin/sites/${ids.site}`, act: then(press('Remove site'), sheet) },
  {
    name: 'pairing', path: '/admin/sites/pair', shot: true,
    act: then(sheet, fill('Line of the router', `ownline-core://192.168.1.1:57329?pin=${'Zk3vQ'.repeat(9).slice(0, 43)}&token=t`), fill('Name', 'home'), fill('Public host name', 'home.example.org')),
  },
  { name: 'pairing-wrong', path: '/admin/sites/pair', act: then(sheet, press('Pair a site')) },
  { name: 'audit', path: '/admin/audit', shot: true },
  { name: 'audit-empty', path: '/admin/audit', demo: 'empty' },
  { name: 'audit-failed', path: '/admin/audit', demo: 'broken' },
  { name: 'refusals', path: '/admin/audit/refusals', act: (page) => page.getByText('By the list of the site').click() },
  { name: 'refusals-site', path: `/admin/audit/refusals?site=${ids.site}&days=1` },
  { name: 'refusals-empty', path: '/admin/audit/refusals', demo: 'empty' },
  { name: 'refusals-loading', path: '/admin/audit/refusals', demo: 'slow' },
  { name: 'refusals-failed', path: '/admin/audit/refusals', demo: 'broken' },
]
const pairing = admin.find(({ name }) => name === 'pairing')
admin.push(
  { ...pairing, name: 'pairing-old', shot: false, act: then(pairing.act, press('Pair a site'), shows('older than 10 minutes')) },
  { ...pairing, name: 'pairing-silent', shot: false, demo: 'refusing', act: then(pairing.act, press('Pair a site'), shows('Nothing answered at')) },
  { ...pairing, name: 'pairing-again', shot: false, path: `/admin/sites/${ids.site}/pair`, act: sheet },
)

/** Pages with everything named at length. */
const named = [
  ['service', `/services/${ids.service}`, sheet], ['session', `/sessions/${ids.session}`, sheet], ['invitations', '/invitations'],
  ['invitation', `/invitations/${ids.invitation}`, sheet], ['devices', '/devices'], ['device', `/devices/${ids.device}`, sheet],
  ['history', '/history'], ['tokens', '/settings/tokens'], ['notifications', '/settings/notifications'], ['sign-in', '/settings/sign-in'],
  ['users', '/admin/users'], ['user', `/admin/users/${ids.user}`], ['services-admin', '/admin/services'],
  ['service-form', `/admin/services/${ids.service}`], ['grants', '/admin/grants'], ['sites', '/admin/sites'], ['site', `/admin/sites/${ids.cabin}`],
  ['audit', '/admin/audit'], ['refusals', '/admin/audit/refusals', (page) => page.getByText('By the list of the site').click()],
].map(([name, path, act]) => ({ name: `${name}-named`, path, demo: 'named', act }))

const knocking = (name, more) => ({ name: `knock${name}`, path: '/client', before: hurried, ...more })
const knock = [
  knocking('-not-enrolled', {}),
  knocking('-code-wrong', { act: then(fill('Code of the device', 'ownline://home/?v=9'), press('Enrol this browser'), shows('another version')) }),
  knocking('-protect', { act: then((page) => page.getByRole('button', { name: 'Enrol this browser' }).waitFor(), offered, press('Protect with a passphrase')) }),
  knocking('-locked', { act: locked }),
  knocking('-locked-wrong', { act: then(locked, fill('Passphrase', 'something else'), press('Unlock'), shows('That passphrase is not right')) }),
  knocking('', { shot: true, spanish: true, act: enrolled }),
  knocking('-by-hand', { act: then(enrolled, press('Enter it by hand'), press('Use this address'), shows('This is no address')) }),
  knocking('-running', { act: then(enrolled, store('knock', { doing: 'taken', done: ['address', 'sealed'] })) }),
  knocking('-done', {
    shot: true, spanish: true,
    act: then(enrolled, store('knock', { done: all, reached: 'in', answer: { status: 'opened', source: '203.0.113.24', sessions: 1, time: Date.now(), expires: Date.parse('2030-05-03T12:30:00Z') } }), shows('You are in')),
  }),
  knocking('-failed', { shot: true, spanish: true, act: then(enrolled, store('knock', { done: ['address', 'sealed', 'taken'], skew: 240_000 }), shows('What to check')) }),
  knocking('-broker-refused', { act: then(enrolled, store('knock', { done: ['address', 'sealed'], trouble: 'refused' })) }),
  knocking('-broker-away', { act: then(enrolled, store('knock', { done: ['address', 'sealed'], trouble: 'away' })) }),
  knocking('-nothing', { act: then(enrolled, store('knock', { done: all, reached: 'out', answer: { status: 'nothing', sessions: 0, time: Date.now() } })) }),
  knocking('-offline', { offline: true, act: enrolled }),
  knocking('-forget', { act: then(enrolled, press('Forget this device'), sheet) }),
  knocking('-new-code', { act: then(enrolled, press('Take a new code')) }),
]

/** For each page the scene that tells most, a sheet, a menu, a confirmation and errors among them. */
export const telling = [
  'setup', 'login-wrong', 'home-again', 'home-named', 'home-core-unreachable', 'close-all', 'home-opened-more', 'page-missing', 'service-open', 'session', 'invitations',
  'invitation-created', 'guest-before', 'devices', 'device-enrolment', 'history', 'settings', 'settings-sign-in', 'settings-passkey-menu',
  'settings-token-made', 'settings-notifications', 'settings-app-page', 'users', 'user', 'services-admin', 'service-form-wrong', 'grants',
  'sites', 'site', 'pairing-wrong', 'audit', 'refusals', 'knock-failed',
]

/**
 * path; demo: the state that demo.mjs tells; before: runs in the page before it is loaded; act: what
 * is done before one looks, by English words; guest: it is the guest page; shot: it is one of the
 * pictures in docs/screenshots; spanish: there in Spanish as well; jumps: a banner comes when it is known;
 * misses: the files that can't be fetched;
 * again: it is loaded another time, once what is known is kept.
 */
export const scenes = [
  ...setup, ...login, ...home, ...sheets, ...invitations, ...guest, ...devices, ...history, ...settings, ...admin, ...named, ...knock,
]
