import { onScopeDispose, ref, type Ref } from 'vue'

/** Whether the window is wide: side navigation instead of tabs, tables instead of rows. */
export function useWide(): Ref<boolean> {
  const media = matchMedia('(width >= 960px)')
  const wide = ref(media.matches)
  const follow = () => (wide.value = media.matches)
  media.addEventListener('change', follow)
  onScopeDispose(() => media.removeEventListener('change', follow))
  return wide
}
