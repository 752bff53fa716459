import { computed, type ComputedRef, type WritableComputedRef } from 'vue'
import { type LocationQueryValue, useRoute, useRouter } from 'vue-router'

const text = (value: LocationQueryValue | LocationQueryValue[] | undefined) => (Array.isArray(value) ? value[0] : value) ?? ''

export interface Filters<Name extends string> {
  /** Each to be read and set; '' filters nothing. */
  filters: Record<Name, WritableComputedRef<string>>
  /** Whether any is set. */
  filtered: ComputedRef<boolean>
  clear: () => void
}

/**
 * What a list is narrowed to, held in the query of its page, so that links and Back work. A sheet
 * over the page has the same query, and a filter leads back to the page.
 */
export function useFilters<Name extends string>(path: string, names: readonly Name[]): Filters<Name> {
  const route = useRoute()
  const router = useRouter()

  function filter(name: Name): WritableComputedRef<string> {
    return computed({
      get: () => text(route.query[name]),
      set: (value) => void router.replace({ path, query: { ...route.query, [name]: value || undefined } }),
    })
  }
  const filters = Object.fromEntries(names.map((name) => [name, filter(name)])) as Record<Name, WritableComputedRef<string>>
  return {
    filters,
    filtered: computed(() => names.some((name) => filters[name].value !== '')),
    clear: () => void router.replace({ path, query: {} }),
  }
}

/** The start of a day of this browser's calendar, so many days later; undefined: no day. */
export function dayStart(day: string, later = 0): string | undefined {
  const date = new Date(`${day}T00:00:00`)
  if (Number.isNaN(date.getTime())) return undefined
  date.setDate(date.getDate() + later)
  return date.toISOString()
}
