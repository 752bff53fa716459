import type { Session } from '@/api/sessions'

/** How far apart the two sessions of an act may be opened, or end, in milliseconds. */
const apart = 30_000

/**
 * What people see as one session: a session, or the two that a device's knock by IPv4 and IPv6
 * has opened. Those go by the id of the first, end with the one that ends first, and have the
 * traffic of both.
 */
export type Act = Session & { parts?: readonly [Session, Session] }

export function partsOf(act: Act): readonly Session[] {
  return act.parts ?? [act]
}

const isIPv6 = (session: Session) => session.source.includes(':')

/**
 * What two sessions of one act have in common. One without a device is an act by itself: a browser
 * comes from one address, and who opens for another may open for somebody else.
 */
function likeness({ user, device, service, transport, public_port: port, reason }: Session): string {
  return JSON.stringify([user, device, service, transport, port, reason])
}

const between = (one: string, other: string) => Math.abs(Date.parse(one) - Date.parse(other))

/** A later knock opens a new session for the address that changed, and renews the other to the same end. */
const isNear = (one: Session, other: Session) =>
  Math.min(between(one.opened, other.opened), between(one.expires, other.expires)) <= apart

function merge(four: Session, six: Session): Act {
  const sum = (key: keyof Session['traffic']) => four.traffic[key] + six.traffic[key]
  return {
    ...four,
    // It can be used as soon as one of them can.
    state: six.state === 'active' ? 'active' : four.state,
    expires: Date.parse(six.expires) < Date.parse(four.expires) ? six.expires : four.expires,
    traffic: {
      up_bytes: sum('up_bytes'), up_packets: sum('up_packets'),
      down_bytes: sum('down_bytes'), down_packets: sum('down_packets'),
    },
    parts: [four, six],
  }
}

/** Sessions as people see them, in no order: those that are open, or those that have ended. */
export function actsOf(sessions: Session[]): Act[] {
  const sixes = new Map<string, Session[]>()
  for (const one of sessions) {
    if (!one.device || !isIPv6(one)) continue
    const like = likeness(one)
    sixes.set(like, [...(sixes.get(like) ?? []), one])
  }
  const paired = new Set<Session>()
  const acts: Act[] = []
  // The newest first: the address that a device has left ends by itself.
  for (const four of sessions.toSorted((a, b) => Date.parse(b.opened) - Date.parse(a.opened))) {
    if (!four.device || isIPv6(four)) continue
    const six = (sixes.get(likeness(four)) ?? [])
      .filter((one) => !paired.has(one) && isNear(one, four))
      .toSorted((a, b) => between(a.expires, four.expires) - between(b.expires, four.expires))[0]
    if (!six) continue
    paired.add(four).add(six)
    acts.push(merge(four, six))
  }
  return [...acts, ...sessions.filter((one) => !paired.has(one))]
}
