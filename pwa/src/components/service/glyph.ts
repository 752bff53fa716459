import { reactive, shallowRef, toRef, watch } from 'vue'

/** The built-in icons, undefined until they have come. */
export const glyphs = shallowRef<Record<string, string>>()
const loading = shallowRef<Promise<void>>()

/** Fetches the built-in icons once, when the first of them is to be drawn. */
export function loadGlyphs(): Promise<void> {
  loading.value ??= import('./glyphs').then(
    (all) => void (glyphs.value = all.glyphs),
    // Without a connection: the next icon tries again, and monograms stand in meanwhile.
    () => void (loading.value = undefined),
  )
  return loading.value
}

/** The path of a built-in icon; pending while it is on its way. */
export function useGlyph(name: () => string | undefined): { path: string | undefined; pending: boolean } {
  const builtIn = () => /^[a-z]+$/.test(name() ?? '')
  // Not an effect: a load that failed must not be tried again at once, for ever.
  watch(builtIn, (wanted) => void (wanted && !glyphs.value && loadGlyphs()), { immediate: true })
  return reactive({
    path: toRef(() => (builtIn() ? glyphs.value?.[name() ?? ''] : undefined)),
    pending: toRef(() => builtIn() && !glyphs.value && loading.value !== undefined),
  })
}
