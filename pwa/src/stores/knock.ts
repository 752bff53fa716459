import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { publicAddresses } from '@/api/addresses'
import { BrokerTrouble, exchange, type Message } from '@/api/exchange'
import { type Reached, reach } from '@/api/reach'
import { whoami } from '@/api/whoami'
import { addressBytes, familyOf, isInner } from '@/sealed/address'
import { type Bytes, random } from '@/sealed/bytes'
import { type Answer, openKnockAnswer, sealKnock } from '@/sealed/knock'
import { answerTopic, nonceSize } from '@/sealed/packet'
import { useAccount } from './account'
import { useClock } from './clock'
import { useDevice } from './device'
import { useLive } from './live'

/** What a knock goes through; the last is done when its answer has come. */
export const steps = ['address', 'sealed', 'taken', 'answer'] as const
export type Step = (typeof steps)[number]

/** Why a knock was not sent. The names are those of the words that say it. */
export type Trouble = 'offline' | 'noAddress' | 'refused' | 'away' | 'otherSite' | 'failed'

/** How long Ownline is asked whether it can be reached. */
const reachFor = 20_000
const serverPatience = 2000
/** From here on a clock that is off matters. */
export const skewThatMatters = 30_000

/** A knock from this browser: through the broker, until Ownline itself can be reached. */
export const useKnock = defineStore('knock', () => {
  const device = useDevice()
  const account = useAccount()
  const clock = useClock()
  const live = useLive()

  /** Public addresses, one of a family at most. */
  const addresses = ref<string[]>([])
  const looking = ref(false)
  /** They were looked for, and not found. */
  const lost = ref(false)
  const doing = ref<Step>()
  const done = ref<Step[]>([])
  const trouble = ref<Trouble>()
  const answer = shallowRef<Answer>()
  /** By how much this machine's clock is ahead, in milliseconds; undefined: nobody told. */
  const skew = ref<number>()
  const asking = ref(false)
  const reached = ref<Reached>()
  const busy = computed(() => doing.value !== undefined || asking.value)
  let run = new AbortController()

  /** What the server says, when somebody is signed in there. */
  async function told(): Promise<string | undefined> {
    if (!navigator.onLine) return undefined
    if (account.state === 'unknown') await account.load({ signal: AbortSignal.timeout(serverPatience) })
    if (account.state !== 'in') return undefined
    try {
      const here = await whoami(AbortSignal.timeout(serverPatience))
      return here.kind === 'public' && !here.forwarded ? here.address : undefined
    } catch {
      return undefined
    }
  }

  /** Asks the server, else the services in the profile. */
  async function find(): Promise<void> {
    if (!device.rest || looking.value) return
    looking.value = true
    try {
      const own = await told()
      const noteDate = (date: number) => (skew.value = Date.now() - date)
      const found = own ? [own] : await publicAddresses(device.rest.addresses, noteDate)
      addresses.value = found.filter((a, i) => found.findIndex((b) => familyOf(b) === familyOf(a)) === i)
      lost.value = found.length === 0
    } finally {
      looking.value = false
    }
  }

  /** Takes an address that was typed, or tells why not: it is none, or one that the internet does not see. */
  function type(text: string): 'none' | 'inner' | undefined {
    const bytes = addressBytes(text)
    if (bytes === undefined) return 'none'
    if (isInner(bytes)) return 'inner'
    addresses.value = [text]
    lost.value = false
    return undefined
  }

  function tick(step: Step, next?: Step): void {
    done.value = [...done.value, step]
    doing.value = next
  }

  function reset(): void {
    run.abort()
    run = new AbortController()
    done.value = []
    trouble.value = undefined
    answer.value = undefined
    reached.value = undefined
    asking.value = false
    doing.value = undefined
  }

  async function ask(signal: AbortSignal): Promise<void> {
    asking.value = true
    const found = await reach(signal, reachFor)
    if (signal.aborted) return
    asking.value = false
    reached.value = found
    if (found === 'in') {
      await account.load()
      live.hurry()
    }
    if (found === 'out') account.leave()
  }

  /** Seals a knock for every address; the nonces tell whose answer comes. */
  async function sealAll(): Promise<(Message & { nonce: Bytes })[]> {
    const keys = device.opened?.keys
    if (!keys) return []
    return Promise.all(
      addresses.value.map(async (claimed) => {
        const nonce = random(nonceSize)
        const payload = await sealKnock(keys, { nonce, claimed, time: clock.read(), answerWanted: true })
        return { nonce, payload, answerTopic: await answerTopic(keys, nonce) }
      }),
    )
  }

  async function send(signal: AbortSignal): Promise<void> {
    const { opened, rest } = device
    if (!opened || !rest) return
    const messages = await sealAll()
    tick('sealed', 'taken')
    let waiting = messages.length
    await exchange(
      rest.broker,
      rest.broker.topic,
      messages,
      async (bytes, message) => {
        const sent = messages.find((m) => m.answerTopic === message.answerTopic)
        const got = sent && (await openKnockAnswer(opened.keys, bytes, sent.nonce))
        if (!got || signal.aborted) return signal.aborted
        const better = answer.value === undefined || got.sessions > answer.value.sessions
        if (better) answer.value = got
        skew.value = Date.now() - got.time
        return --waiting === 0
      },
      () => {
        if (signal.aborted) return
        tick('taken', 'answer')
        void ask(signal)
      },
    )
  }

  async function knock(): Promise<void> {
    if (busy.value || device.state !== 'unlocked') return
    reset()
    const { signal } = run
    if (!navigator.onLine) {
      trouble.value = 'offline'
      return
    }
    // The page may speak to the brokers of its own Ownline alone.
    let barred = false
    const onBar = (event: SecurityPolicyViolationEvent) => (barred ||= event.effectiveDirective === 'connect-src')
    document.addEventListener('securitypolicyviolation', onBar)
    try {
      doing.value = 'address'
      if (addresses.value.length === 0) await find()
      if (signal.aborted) return
      if (addresses.value.length === 0) {
        trouble.value = 'noAddress'
        return
      }
      tick('address', 'sealed')
      await send(signal)
      if (answer.value && !signal.aborted) tick('answer')
    } catch (error) {
      if (signal.aborted) return
      await new Promise((resolve) => setTimeout(resolve)) // what was barred is told in a task of its own
      trouble.value = barred ? 'otherSite' : error instanceof BrokerTrouble ? error.trouble : 'failed'
    } finally {
      document.removeEventListener('securitypolicyviolation', onBar)
      if (!signal.aborted) doing.value = undefined
    }
  }

  return { addresses, looking, lost, doing, done, trouble, answer, skew, asking, reached, busy, find, type, knock, reset }
})
