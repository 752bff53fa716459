import type { Language } from '.'

/** What is said when no words could be fetched: it comes with the first script, in every language. */
export const notLoaded: Record<Language, { title: string; help: string; reload: string }> = {
  en: {
    title: 'Part of Ownline could not be loaded.',
    help: 'Check your connection, then reload.',
    reload: 'Reload',
  },
  es: {
    title: 'No se ha podido cargar una parte de Ownline.',
    help: 'Comprueba tu conexión y recarga.',
    reload: 'Recargar',
  },
}
