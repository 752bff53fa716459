import type { Code, Problem } from '@/api/problem'
import type { Language } from '.'

/** A sentence for every code, with the same {places} as the server's own. */
export type Sentences = Record<Code, string>

/** English is what the server itself says. The others are fetched when something was refused. */
interface Said {
  sentences: Sentences
  /** What stands in a place of one, in the language as far as it is known there. */
  place: (name: string, words: string) => string
}
const words: Partial<Record<Language, () => Promise<Said>>> = {
  es: () => import('./es/sentences'),
}

interface Coded { code?: Code | undefined; params?: Record<string, string> | undefined }

/** What a coded sentence says in a language; nothing where the server's own words have to do. */
async function say(said: Coded[], language: Language): Promise<(string | undefined)[]> {
  const load = words[language]
  if (!load || !said.some(({ code }) => code)) return []
  try {
    const { sentences, place } = await load()
    return said.map(({ code, params }) => {
      const sentence = code && (sentences[code] as string | undefined)
      return sentence?.replaceAll(/\{([a-z]+)\}/g, (open, name: string) => {
        const value = params?.[name]
        return value === undefined ? open : place(name, value)
      })
    })
  } catch {
    return [] // Without the words, the server's are better than none.
  }
}

/** Has a problem say in a language what is wrong with each field. What has no code stays as the server said it. */
export async function translate(problem: Problem, language: Language): Promise<void> {
  for (const [at, translated] of (await say(problem.fields, language)).entries()) {
    const field = problem.fields[at]
    if (field && translated) field.message = translated
  }
}

/** Why something failed, in a language if that is known. */
export async function sayFailure(failure: Coded, language: Language): Promise<string | undefined> {
  return (await say([failure], language))[0]
}
