import { useLanguage } from '@/messages'
import { length, sourceText } from '@/messages/format'
import type { Session } from '@/api/sessions'
import { type Act, partsOf } from '@/stores/acts'
import { useWhy } from '@/components/session/why'

/** How many rows before the end the next page is fetched. */
const nearEnd = 10

/** The session at which more are to be fetched. */
export function nearId(sessions: Session[]): string | undefined {
  return sessions[Math.max(0, sessions.length - nearEnd)]?.id
}

/** How long it was open. */
function lasted(one: Session): string {
  return length(Date.parse(one.ended ?? one.expires) - Date.parse(one.opened))
}

/** The addresses that it let in. */
export const from = (one: Act) => partsOf(one).map(({ source }) => sourceText(source)).join(', ')

/** How a session that has ended is told of. */
export function usePast() {
  const language = useLanguage()
  const why = useWhy()

  function who(one: Session): string {
    return one.guest ? language.t.history.guestOf(one.user_name) : one.user_name
  }
  function line(one: Act): string {
    const received = language.bytes(one.traffic.down_bytes)
    return language.t.history.line(from(one), one.public_port, lasted(one), received)
  }
  const day = (one: Session) => language.day(new Date(one.opened))
  const time = (one: Session) => language.clockTime(new Date(one.opened))

  return { why, lasted, who, line, day, time }
}
