import type { Problem } from '@/api/problem'

/** The most entries that a list takes. */
export const mostOrigins = 200

/** The entries of a list as people write it: with blanks, commas or lines between them. */
export const wordsOf = (text: string): string[] => text.split(/[\s,;]+/).filter(Boolean)

/** A list as people write it. */
export const textOf = (words: string[] | null | undefined): string => (words ?? []).join(', ')

const isCountry = (word: string) => /^[a-z]{2}$/i.test(word)

/** The name of a country in a language; what is none stays as it is. */
export function countryName(locale: string, word: string): string {
  return isCountry(word) ? (new Intl.DisplayNames([locale], { type: 'region' }).of(word.toUpperCase()) ?? word) : word
}

/** The countries of a list by their names, so that a wrong code is seen. */
export function countriesOf(locale: string, words: string[]): string[] {
  return [...new Set(words.filter(isCountry).map((word) => word.toUpperCase()))].map((word) => `${word} ${countryName(locale, word)}`)
}

/** A list for reading: countries by their names. */
export function sayOrigins(locale: string, words: string[] | null | undefined): string {
  return (words ?? []).map((word) => countryName(locale, word)).join(', ')
}

/** What the server has against the list; undefined: nothing. */
export function originTrouble({ fields }: Problem): string | undefined {
  return fields.find(({ field }) => field === 'allowed_from')?.message
}
