import { defineStore } from 'pinia'
import { computed, type ComputedRef, ref, shallowRef, watch } from 'vue'
import { en, type Messages } from './en'
import * as format from './format'

export type { Messages } from './en'

export const languages = { en: 'English', es: 'Español' } as const
export type Language = keyof typeof languages

const storageKey = 'ownline.language'

function isLanguage(value: string | null | undefined): value is Language {
  return value === 'en' || value === 'es'
}

/** What was chosen before, else the first language of the browser that we speak. */
function preferred(): Language {
  const chosen = localStorage.getItem(storageKey)
  if (isLanguage(chosen)) return chosen
  for (const tag of navigator.languages) {
    const primary = tag.split('-')[0]
    if (isLanguage(primary)) return primary
  }
  return 'en'
}

/** The language in use and its words. English is at hand at once, others are fetched. */
export const useLanguage = defineStore('language', () => {
  const name = ref<Language>('en')
  const t = shallowRef<Messages>(en)

  async function use(language: Language): Promise<void> {
    t.value = language === 'es' ? (await import('./es')).es : en
    name.value = language
  }

  async function choose(language: Language): Promise<void> {
    await use(language)
    localStorage.setItem(storageKey, language)
  }

  watch(name, (language) => (document.documentElement.lang = language), { immediate: true })

  const clockTime = (date: Date) =>
    new Intl.DateTimeFormat(name.value, { hour: '2-digit', minute: '2-digit' }).format(date)

  /** "3 May, 14:02", or the time alone of a moment of the same day. */
  const moment = (date: Date, now: Date) =>
    date.toDateString() === now.toDateString()
      ? clockTime(date)
      : new Intl.DateTimeFormat(name.value, {
          day: 'numeric',
          month: 'short',
          hour: '2-digit',
          minute: '2-digit',
          ...(date.getFullYear() !== now.getFullYear() && { year: 'numeric' }),
        }).format(date)
  /** "Friday, 3 May 2030" */
  const day = (date: Date) =>
    new Intl.DateTimeFormat(name.value, { dateStyle: 'full' }).format(date)
  const ago = (then: number, now: number) => format.ago(name.value, then, now)
  const bytes = (n: number) => format.bytes(name.value, n)

  return { name, t, start: () => use(preferred()), choose, clockTime, moment, day, ago, bytes }
})

/** The words of the language in use. */
export function useMessages(): ComputedRef<Messages> {
  const language = useLanguage()
  return computed(() => language.t)
}
