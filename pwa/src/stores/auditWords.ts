import type { AuditLine } from '@/api/audit'
import type { Messages } from '@/messages'
import { length, secondsOf, sourceText } from '@/messages/format'

/** What was done, in words; what has none yet keeps the server's name for it. */
export function sayAction(t: Messages, action: string): string {
  const words: Record<string, string> = t.audit.actions
  return words[action] ?? action
}

export function sayBy(t: Messages, by: string): string {
  const words: Record<string, string> = t.audit.bys
  return words[by] ?? by
}

export interface Difference {
  before: string
  after: string
}

/** What a line says to have been before and after, of lines that say both: of a service's options only what is new. */
export function differenceOf(t: Messages, { action, detail }: Pick<AuditLine, 'action' | 'detail'>): Difference | undefined {
  const at = detail.indexOf(' -> ')
  if (action !== 'service.change' || at === -1 || detail.slice(0, at).includes(';')) return undefined
  return { before: sayService(t, detail.slice(0, at)), after: sayService(t, detail.slice(at + 4)) }
}

/** The words of a text, and which of them the other text has not. */
export function marked(text: string, other: string): { word: string; changed: boolean }[] {
  const there = new Set(other.split(' '))
  return text.split(' ').map((word) => ({ word, changed: !there.has(word) }))
}

/** What a session was opened with, as the server writes it. */
const opened = /^(?<service>\S+) for (?<source>\S+), port (?<port>\d+)\/\w+ to (?<target>.+) until (?<until>\S+)$/
const granted = /^(?<user>\S+) may use (?<service>\S+); automatic (?<automatic>true|false), port (?<port>\d+), reserved (?:true|false)(?:, at most (?<most>[^\s,]+))?(?:, (?<sources>\d+) sources of a device)?(?<claimed>, claimed source required)?(?:, from (?<from>.+) only)?$/

/** What a list of origins was and is, as the server writes it behind what it is about, and the rest. A name that reads like it is in quotes. */
function listOf(t: Messages, detail: string): [rest: string, list: string[]] {
  const parts = /^(?<rest>.*); allowed_from (?<was>.+) -> (?<is>[^"]+)$/.exec(detail)?.groups
  if (!parts) return [detail, []]
  const { rest = '', was = '', is = '' } = parts
  const say = (list: string) => (list === 'anywhere' ? t.audit.said.anywhere : list)
  return [rest, [t.audit.said.fromNow(say(was), say(is))]]
}

/** What a user is now, part by part. */
const changed: [RegExp, (t: Messages, value: string) => string][] = [
  [/^renamed from (\S+)$/, (t, name) => t.audit.said.renamed(name)],
  [/^now (admin|user)$/, (t, role) => t.audit.said.nowRole(role === 'admin')],
  [/^(disabled)$/, (t) => t.audit.said.disabled],
  [/^(enabled)$/, (t) => t.audit.said.enabled],
  [/^new (password)$/, (t) => t.audit.said.newPassword],
]

function sayUser(t: Messages, detail: string): string {
  const told = detail.endsWith(byProvider)
  const [name = '', ...parts] = (told ? detail.slice(0, -byProvider.length) : detail).split(', ')
  return [name, ...parts.map((part) => first(changed, t, part)), ...(told ? [t.audit.said.byProvider] : [])].join(' · ')
}
const byProvider = ': the identity provider says so'

/** The words of the first form that a text has, or the text itself. */
function first(forms: [RegExp, (t: Messages, value: string, more: string) => string][], t: Messages, text: string): string {
  for (const [form, say] of forms) {
    const found = form.exec(text)
    if (found) return say(t, found[1] ?? '', found[2] ?? '')
  }
  return text
}

/** What refused a knock: which list of origins, or a grant for which it had to name its address. */
const refusedBy: [RegExp, (t: Messages, source: string, name: string) => string][] = [
  [/^(.+) is refused by the policy in web\.yaml$/, (t, source) => t.audit.said.refusedBy.web(source)],
  [/^(.+) is refused by the list of the site (.+)$/, (t, source, name) => t.audit.said.refusedBy.site(source, name)],
  [/^(.+) is refused by the list of the grant$/, (t, source) => t.audit.said.refusedBy.grant(source)],
  [/^(.+) is refused by the list of the device (.+)$/, (t, source, name) => t.audit.said.refusedBy.device(source, name)],
  [/^(.+) is not named by the knock, as the grant requires$/, (t, source) => t.audit.said.refusedBy.claim(source)],
]

/** An option of a service as the server writes that it changed. */
const option: [RegExp, (t: Messages, value: string, more: string) => string][] = [
  [/^require_login \w+ -> on$/, (t) => t.audit.said.loginOn],
  [/^require_login \w+ -> off$/, (t) => t.audit.said.loginOff],
  [/^path_prefix \S+ -> (\S+)$/, (t, value) => t.audit.said.pathPrefix(orNone(t, value))],
  [/^server_name \S+ -> (\S+)$/, (t, value) => t.audit.said.serverName(orNone(t, value))],
  [/^pin \S+ -> (\S+)$/, (t, value) => t.audit.said.pin(orNone(t, value))],
  [/^ca (set|removed|changed)$/, (t, how) => t.audit.said.option(t.audit.said.ca, how)],
  [/^template (set|removed|changed)$/, (t, how) => t.audit.said.option(t.audit.said.template, how)],
  [/^header (\S+) (set|removed|changed)$/, (t, name, how) => t.audit.said.option(t.audit.said.header(name), how)],
  [/^icon (changed)$/, (t, how) => t.audit.said.option(t.audit.said.icon, how)],
]

function orNone(t: Messages, value: string): string {
  return value === 'none' ? t.audit.said.none : value
}

/** A service: its name, how it is served and where, and what of its options changed. */
function sayService(t: Messages, detail: string): string {
  const [what = '', ...options] = detail.split('; ')
  const [, own] = /^(\S+): not for everybody any more$/.exec(what) ?? []
  if (own) return t.audit.said.withheld(own)
  const served = what.replace(/^(\S+): proxied (https?|h2c) /, (_, name: string, scheme: string) => `${name}: ${t.audit.said.proxied(scheme)} `)
  return [served, ...options.flatMap((all) => all.split(', ')).map((one) => first(option, t, one))].join(' · ')
}

const invited = /^(?<service>\S+), (?<uses>\d+) times for (?<each>\S+) each, until (?<until>[^\s,]+)(?:, from (?<countries>.+))?$/

function sayInvitation(t: Messages, detail: string, moment: (time: string) => string): string {
  const parts = invited.exec(detail)?.groups
  if (!parts) return detail
  const { service = '', uses = '1', each = '', until = '', countries } = parts
  const words = t.audit.said
  const lasts = length((secondsOf(each) ?? 0) * 1000)
  return [words.invited(service, Number(uses), lasts, moment(until)), ...(countries ? [words.countries(countries)] : [])].join(' · ')
}

/** Who is guessing what: the server has these sentences. */
const guessing: [RegExp, (t: Messages) => string][] = [
  [/^many wrong passwords;/, (t) => t.audit.said.guessedPasswords],
  [/^many wrong codes after the right password,/, (t) => t.audit.said.guessedCodes],
  [/^many wrong secrets;/, (t) => t.audit.said.guessedSecrets],
]

/**
 * A detail in the words of the language: of the actions whose details the server always writes in
 * one way. The rest stays as it is.
 */
export function sayDetail(t: Messages, { action, detail }: Pick<AuditLine, 'action' | 'detail'>, moment: (time: string) => string): string {
  const words = t.audit.said
  const reasons: Record<string, string> = t.session.reasons
  switch (action) {
    case 'session.end':
      return reasons[detail] ?? detail
    case 'session.renew':
      return detail.startsWith('until ') ? words.until(moment(detail.slice(6))) : detail
    case 'session.open': {
      const parts = opened.exec(detail)?.groups
      if (!parts) return detail
      const { service = '', source = '', port = '', until = '' } = parts
      return words.opened(service, sourceText(source), port, moment(until))
    }
    case 'grant.add':
    case 'grant.change':
    case 'grant.remove': {
      const [said, list] = listOf(t, detail)
      const parts = granted.exec(said)?.groups
      if (!parts) return detail
      const { user = '', service = '', automatic, port = '0', most = '0s', sources = '2', claimed, from } = parts
      const terms = [
        ...(automatic === 'true' ? [words.automatic] : []),
        ...(port === '0' ? [] : [words.port(port)]),
        ...(sources === '2' ? [] : [words.sources(Number(sources))]),
        ...(claimed ? [words.claimed] : []),
        ...(secondsOf(most) ? [t.part.upTo(length((secondsOf(most) ?? 0) * 1000))] : []),
        ...(from && !list.length ? [words.from(from.replace(' and ', ', '))] : []),
      ]
      return [words.grant(user, service), ...terms, ...list].join(' · ')
    }
    case 'device.add':
    case 'device.change':
    case 'device.restore':
    case 'site.change':
    case 'site.restore': {
      const [name, list] = listOf(t, detail)
      return [name, ...list].join(' · ')
    }
    case 'user.add':
    case 'user.restore': {
      const [, name, role, provider] = /^(\S+) as (admin|user)(, by the identity provider)?$/.exec(detail) ?? []
      return name ? [words.role(name, role === 'admin'), ...(provider ? [words.byProvider] : [])].join(' · ') : detail
    }
    case 'user.change':
      return sayUser(t, detail)
    case 'user.link': {
      const [, name, issuer] = /^(\S+) with (\S+)$/.exec(detail) ?? []
      return name ? `${name} · ${issuer}` : detail
    }
    case 'service.add':
    case 'service.change':
      return sayService(t, detail)
    case 'invitation.add':
    case 'invitation.restore':
      return sayInvitation(t, detail, moment)
    case 'invitation.revoke': {
      const [, service, n] = /^(\S+); sessions ended: (\d+)$/.exec(detail) ?? []
      return service ? words.revoked(service, Number(n)) : detail
    }
    case 'invitation.redeem': {
      const [, use, of, how] = /^use (\d+) of (\d+), (in the guest's browser|through the broker,.*)$/.exec(detail) ?? []
      return how ? words.redeemed(Number(use), Number(of), how.startsWith('through')) : detail
    }
    case 'knock': {
      const answers: Record<string, string> = words.knocks
      const [, answer = '', why] = /^([^:]+)(?:: (?:source: )?(.*))?$/.exec(detail) ?? []
      return [answers[answer] ?? answer, ...(why ? [first(refusedBy, t, why)] : [])].join(' · ')
    }
    case 'token.add': {
      const [, name, scopes] = /^"(.*)", scopes (.*)$/.exec(detail) ?? []
      return name ? words.token(name, scopes ?? '') : detail
    }
    case 'auth.guessing':
      return first(guessing, t, detail)
    case 'epoch.new': {
      const [, core, here] = /^core has revision (\d+), the database (\d+)$/.exec(detail) ?? []
      return core ? words.epoch(core, here ?? '') : detail
    }
    case 'history.restore': {
      const [, n] = /^(\d+) sessions$/.exec(detail) ?? []
      return n ? words.sessions(Number(n)) : detail
    }
    default:
      return detail
  }
}

/** A time in a detail as the server writes it, made one of this place. */
export function localTimes(detail: string, say: (date: Date) => string): string {
  return detail.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b/g, (time) => say(new Date(time)))
}
