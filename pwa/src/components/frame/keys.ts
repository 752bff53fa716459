import { onMounted, onUnmounted, type Ref } from 'vue'
import { useRouter } from 'vue-router'
import { useLayers } from '@/stores/layers'
import { useShortcuts } from '@/stores/shortcuts'
import { places } from './places'

/** How long after "g" the second key may come. */
const patience = 1500

function meant(key: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(`[aria-keyshortcuts="${key}"]`)
}

/**
 * Single keys. What "/" and "n" are for a page says the element that carries the key in its
 * aria-keyshortcuts: it is focused, or pressed.
 */
export function useKeys(list: Ref<boolean>): void {
  const router = useRouter()
  const layers = useLayers()
  const shortcuts = useShortcuts()
  let going = -Infinity

  /** Whether the key did something. */
  function press(key: string, at: number): boolean {
    if (at - going < patience) {
      going = -Infinity
      const place = places.find((one) => one.key === key)
      if (place) void router.push(place.path)
      return place !== undefined
    }
    switch (key) {
      case 'g':
        going = at
        return true
      case '?':
        list.value = true
        return true
      case '/':
        meant('/')?.focus()
        return meant('/') !== null
      case 'n':
        meant('n')?.click()
        return meant('n') !== null
      default:
        return false
    }
  }

  function onKey(event: KeyboardEvent): void {
    const { target, key } = event
    if (!shortcuts.on || layers.top || event.ctrlKey || event.metaKey || event.altKey) return
    if (target instanceof Element && target.closest('input, select, textarea, [role=menu]')) return
    if (press(key, event.timeStamp)) event.preventDefault()
  }

  onMounted(() => document.addEventListener('keydown', onKey))
  onUnmounted(() => document.removeEventListener('keydown', onKey))
}
