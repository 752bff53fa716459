import { defineComponent } from 'vue'
import { useTelling } from '@/stores/telling'

/** Tells of what happens, as far as this browser was told to, and shows nothing itself. */
export default defineComponent({
  setup() {
    useTelling()
    return () => null
  },
})
