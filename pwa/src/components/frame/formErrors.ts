import { nextTick, type Ref, ref, shallowRef } from 'vue'
import type { Problem } from '@/api/problem'
import { useMessages } from '@/messages'
import { atField, lacksSubject } from '@/messages/problem'

/** What is wrong with the fields of a form, by their names, and what is wrong with none of them. */
export function useFormErrors(form: Readonly<Ref<HTMLElement | null>>) {
  const t = useMessages()
  const errors = ref<Record<string, string>>({})
  const failure = shallowRef<Problem | string>()
  const marked = ref<{ id: string; label: string }[]>([])

  /** Shows what is wrong, nothing perhaps, and leads to the first field that is. */
  async function show(found: Record<string, string>): Promise<boolean> {
    errors.value = found
    failure.value = undefined
    marked.value = []
    await nextTick()
    marked.value = Array.from(form.value?.querySelectorAll<HTMLInputElement>('[aria-invalid]') ?? [], ({ id, labels }) => ({
      id, label: labels?.[0]?.textContent?.trim() ?? '',
    }))
    form.value?.querySelector<HTMLElement>('[aria-invalid], [role=alert]')?.focus()
    return Object.keys(found).length > 0
  }

  /** Tells why the server refused; fieldOf: where what the server calls it is in the form. */
  async function explain(problem: Problem, fieldOf = (name: string) => name): Promise<void> {
    await show(Object.fromEntries(problem.fields.map(({ field, message }) => [fieldOf(field), lacksSubject(message) ? message : atField(t.value, '', message)])))
    // What no field shows has to be said all the same.
    if (!form.value?.querySelector('[aria-invalid]')) failure.value = problem
  }

  return { errors, failure, marked, show, explain }
}
