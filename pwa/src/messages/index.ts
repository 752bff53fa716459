import { defineStore } from 'pinia'
import { computed, type ComputedRef, ref, shallowRef, watch } from 'vue'
import { local } from '@/stores/local'
import type { Messages } from './en'
import * as format from './format'
import { atHand } from './start'

export type { Messages } from './en'

export const languages = { en: 'English', es: 'Español' } as const
export type Language = keyof typeof languages

const storageKey = 'ownline.language'

function isLanguage(value: string | null | undefined): value is Language {
  return value === 'en' || value === 'es'
}

/** What was chosen before, else the first language of the browser that we speak. */
export function preferred(): Language {
  const chosen = local.get(storageKey)
  if (isLanguage(chosen)) return chosen
  for (const tag of navigator.languages) {
    const primary = tag.split('-')[0]
    if (isLanguage(primary)) return primary
  }
  return 'en'
}

/**
 * How dates, times and numbers are written: as where this browser says that its people speak the
 * language, which is not the same everywhere.
 */
export function localeOf(language: Language): string {
  const plain = /^[a-z]{2}(?:-[a-z\d]{2,8})*$/i
  return navigator.languages.find((tag) => tag.split('-')[0] === language && plain.test(tag)) ?? language
}

/** Words that come with the pages that say them, so that no other page waits for them. */
interface Packs {
  audit: Pick<Messages, 'audit'>
  broker: Pick<Messages, 'broker'>
  client: Pick<Messages, 'client'>
  device: Pick<Messages, 'device'>
  grant: Pick<Messages, 'grant'>
  history: Pick<Messages, 'history'>
  invitation: Pick<Messages, 'invitation'>
  origins: Pick<Messages, 'origins'>
  refusal: Pick<Messages, 'refusal'>
  services: Pick<Messages, 'icon' | 'serviceForm'>
  settings: Pick<Messages, 'settings'>
  setup: Pick<Messages, 'setup'>
  sheet: Pick<Messages, 'serviceSheet' | 'sessionSheet'>
  siteAdmin: Pick<Messages, 'siteAdmin'>
  user: Pick<Messages, 'user'>
}
export type Pack = keyof Packs
type PackedArea = { [P in Pack]: keyof Packs[P] }[Pack]

interface Words {
  first: () => Promise<Omit<Messages, PackedArea>>
  packs: { [P in Pack]: () => Promise<Packs[P]> }
}

const words: Record<Language, Words> = {
  en: {
    first: () => import('./en/first'),
    packs: {
      audit: () => import('./en/audit'),
      broker: () => import('./en/broker'),
      client: () => import('./en/client'),
      device: () => import('./en/device'),
      grant: () => import('./en/grant'),
      history: () => import('./en/history'),
      invitation: () => import('./en/invitation'),
      origins: () => import('./en/origins'),
      refusal: () => import('./en/refusal'),
      services: () => import('./en/services'),
      settings: () => import('./en/settings'),
      setup: () => import('./en/setup'),
      sheet: () => import('./en/sheet'),
      siteAdmin: () => import('./en/siteAdmin'),
      user: () => import('./en/user'),
    },
  },
  es: {
    first: () => import('./es/first'),
    packs: {
      audit: () => import('./es/audit'),
      broker: () => import('./es/broker'),
      client: () => import('./es/client'),
      device: () => import('./es/device'),
      grant: () => import('./es/grant'),
      history: () => import('./es/history'),
      invitation: () => import('./es/invitation'),
      origins: () => import('./es/origins'),
      refusal: () => import('./es/refusal'),
      services: () => import('./es/services'),
      settings: () => import('./es/settings'),
      setup: () => import('./es/setup'),
      sheet: () => import('./es/sheet'),
      siteAdmin: () => import('./es/siteAdmin'),
      user: () => import('./es/user'),
    },
  },
}

/** The language in use and its words, which are fetched before anything is shown. */
export const useLanguage = defineStore('language', () => {
  const name = ref<Language>('en')
  const locale = computed(() => localeOf(name.value))
  // What a page says is there before the page is: see withWords.
  const t = shallowRef(atHand as Messages)
  const packs = new Set<Pack>()
  let last = Promise.resolve()

  /** One after the other: a pack that arrives never meets the words of another language. */
  function inTurn(step: () => Promise<void>): Promise<void> {
    const done = last.then(step)
    last = done.catch(() => undefined)
    return done
  }

  function use(language: Language): Promise<void> {
    return inTurn(async () => {
      const { first: start, packs: rest } = words[language]
      const parts = await Promise.all([start(), ...[...packs].map((pack) => rest[pack]())])
      t.value = Object.assign({}, ...parts) as Messages
      name.value = language
    })
  }

  /** Has the words of some pages at hand, from now on in every language. */
  function need(pack: Pack): Promise<void> {
    return inTurn(async () => {
      if (packs.has(pack)) return
      t.value = { ...t.value, ...(await words[name.value].packs[pack]()) }
      packs.add(pack)
    })
  }

  async function choose(language: Language): Promise<void> {
    await use(language)
    local.set(storageKey, language)
  }

  watch(name, (language) => (document.documentElement.lang = language), { immediate: true })

  const clockTime = (date: Date) =>
    new Intl.DateTimeFormat(locale.value, { hour: '2-digit', minute: '2-digit' }).format(date)

  /** "3 May, 14:02", or the time alone of a moment of the same day. */
  const moment = (date: Date, now: Date) =>
    date.toDateString() === now.toDateString()
      ? clockTime(date)
      : new Intl.DateTimeFormat(locale.value, {
          day: 'numeric',
          month: 'short',
          hour: '2-digit',
          minute: '2-digit',
          ...(date.getFullYear() !== now.getFullYear() && { year: 'numeric' }),
        }).format(date)
  /** "Friday, 3 May 2030" */
  const day = (date: Date) =>
    new Intl.DateTimeFormat(locale.value, { dateStyle: 'full' }).format(date)
  const ago = (then: number, now: number) => format.ago(locale.value, then, now)
  const bytes = (n: number) => format.bytes(locale.value, n)

  return { name, t, start: () => use(preferred()), choose, need, clockTime, moment, day, ago, bytes }
})

/** The words of the language in use. */
export function useMessages(): ComputedRef<Messages> {
  const language = useLanguage()
  return computed(() => language.t)
}

/** Loads a page together with its words. */
export function withWords<Page>(pack: Pack, load: () => Promise<Page>): () => Promise<Page> {
  return async () => (await Promise.all([load(), useLanguage().need(pack)]))[0]
}
