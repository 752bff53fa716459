import { useLanguage } from '@/messages'
import { useNotices } from './notices'

/** Returns what copies a text; where the browser refuses, the text is shown instead. */
export function useCopy(): (text: string) => Promise<void> {
  const notices = useNotices()
  const language = useLanguage()
  return async (text) => {
    try {
      await navigator.clipboard.writeText(text)
      notices.show(language.t.session.copied(text))
    } catch {
      notices.show(language.t.session.notCopied(text))
    }
  }
}
