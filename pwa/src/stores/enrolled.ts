import { type Ref, ref } from 'vue'
import { read } from '@/device/shelf'

/** Whether this browser is a device that can knock; not before that was read. Without all that a device needs. */
export function useEnrolled(): Ref<boolean> {
  const is = ref(false)
  void read().then((found) => (is.value = found !== undefined))
  return is
}
