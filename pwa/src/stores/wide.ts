import { onScopeDispose, ref, type Ref } from 'vue'

/**
 * Whether the window is wide: side navigation instead of tabs, tables instead of rows. It is measured by the text, as in
 * all media queries: whose text is twice as large has half the room.
 */
export function useWide(): Ref<boolean> {
  const media = matchMedia('(width >= 60em)')
  const wide = ref(media.matches)
  const follow = () => (wide.value = media.matches)
  media.addEventListener('change', follow)
  onScopeDispose(() => media.removeEventListener('change', follow))
  return wide
}
