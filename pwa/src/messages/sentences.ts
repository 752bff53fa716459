import type { Code, Problem } from '@/api/problem'
import type { Language } from '.'

/** A sentence for every code, with the same {places} as the server's own. */
export type Sentences = Record<Code, string>

/** English is what the server itself says. The others are fetched when something was refused. */
const words: Partial<Record<Language, () => Promise<{ sentences: Sentences }>>> = {
  es: () => import('./es/sentences'),
}

/** Has a problem say in a language what is wrong with each field. What has no code stays as the server said it. */
export async function translate(problem: Problem, language: Language): Promise<void> {
  const load = words[language]
  if (!load || !problem.fields.some(({ code }) => code)) return
  try {
    const { sentences } = await load()
    for (const field of problem.fields) {
      const sentence = field.code && sentences[field.code]
      if (sentence) field.message = sentence.replaceAll(/\{([a-z]+)\}/g, (place, name: string) => field.params?.[name] ?? place)
    }
  } catch {
    // Without the words, the server's are better than none.
  }
}
