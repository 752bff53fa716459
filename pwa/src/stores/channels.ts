import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import * as api from '@/api/channels'
import { asProblem } from '@/api/problem'
import { useLanguage } from '@/messages'
import { collection } from './collection'
import { useNotices } from './notices'

/** A channel is known by its name. */
export type KnownChannel = api.Channel & { id: string }

const known = (channel: api.Channel): KnownChannel => ({ ...channel, id: channel.name })

/** The channels by which people are told the news, as the server's configuration has them. */
export const useChannels = defineStore('channels', () => {
  const language = useLanguage()
  const notices = useNotices()
  const list = collection(async () => (await api.listChannels()).map(known))
  /** Names of those that send a test just now. */
  const testing = shallowReactive(new Set<string>())

  /** Sends a test message and says what became of it. */
  async function test({ name }: api.Channel): Promise<void> {
    if (testing.has(name)) return
    testing.add(name)
    const { t } = language
    try {
      const why = await api.testChannel(name)
      if (why === undefined) notices.show(t.settings.testDelivered(name))
      else notices.fail(t.settings.testFailed(name, why))
    } catch (error) {
      notices.fail(asProblem(error))
    } finally {
      testing.delete(name)
    }
  }

  return { ...list, testing, test, follow: (channel: api.Channel) => list.put(known(channel)) }
})
