import { onScopeDispose, shallowReactive, watchEffect } from 'vue'
import { useRoute } from 'vue-router'
import { useMessages } from '@/messages'

type Name = () => string | undefined

/** What is shown that has a name of its own, the topmost last. */
const names = shallowReactive(new Set<Name>())

/** Has the window named after what a sheet or a pane shows, as long as it is shown. */
export function useTitle(name: Name): void {
  names.add(name)
  onScopeDispose(() => names.delete(name))
}

/** Names the window after what is shown, else after its page, in the language in use. */
export function useWindowTitle(): void {
  const route = useRoute()
  const t = useMessages()
  watchEffect(() => {
    const name = [...names].at(-1)?.() || (route.matched.length > 0 && route.meta.title(t.value))
    if (name) document.title = `${name} · ${t.value.app.name}`
  })
}
