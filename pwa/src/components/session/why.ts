import type { Session } from '@/api/sessions'
import { useLanguage } from '@/messages'
import { useAccount } from '@/stores/account'

/** Says why a session ended, and by whom. */
export function useWhy(): (session: Session) => string {
  const account = useAccount()
  const language = useLanguage()
  return ({ reason = 'closed', ended_by: by, ended_by_name: name, guest }) => {
    const words = language.t.session
    if (reason !== 'closed') return words.reasons[reason]
    if (by) return by === account.me?.id ? words.closedByYou : words.closedBy(name ?? '')
    return guest ? words.closedByGuest : words.reasons.closed
  }
}
