import { defineStore } from 'pinia'
import { useMessages } from '@/messages'
import { length } from '@/messages/format'
import { useNotices } from './notices'
import { useSessions } from './sessions'

const minute = 60_000

/** Says once that a session ends soon: in five minutes by voice, in one by a toast as well. */
export const useEndings = defineStore('endings', () => {
  const sessions = useSessions()
  const notices = useNotices()
  const t = useMessages()
  const before = new Map<string, number>()

  /** To be called as time goes on. */
  function remind(): void {
    for (const session of sessions.live) {
      if (!sessions.isMine(session)) continue
      const left = sessions.left(session)
      const was = before.get(session.id) ?? left
      before.set(session.id, left)
      const crossed = (mark: number) => was > mark && left <= mark
      const name = session.service_name
      if (crossed(5 * minute)) notices.say(t.value.session.leftOf(name, 5))
      if (crossed(minute)) {
        const by = sessions.extendsBy(session)
        const extend = { label: t.value.session.extendBy(length(by * 1000)), run: () => void sessions.extend(session) }
        notices.show(t.value.session.closesSoon(name), by > 0 ? [extend] : [], { about: session.service })
      }
    }
    for (const id of before.keys()) {
      if (!sessions.live.some((session) => session.id === id)) before.delete(id)
    }
  }

  return { remind }
})
