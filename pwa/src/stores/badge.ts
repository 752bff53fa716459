import { watch } from 'vue'
import { useSessions } from './sessions'

/** Shows the number of one's own open sessions on the icon of the installed app. */
export function useAppBadge(): void {
  const sessions = useSessions()
  const count = (): number => sessions.live.filter(sessions.isMine).length
  watch(count, (n) => {
    // Where there is no icon to write on, nothing is missing.
    navigator.setAppBadge?.(n).catch(() => {})
  })
}
