// Attributes that browsers know and Vue's types do not yet.
import 'vue'

declare module 'vue' {
  interface HTMLAttributes {
    autofocus?: boolean | ''
    popover?: '' | 'auto' | 'manual'
  }
  interface ButtonHTMLAttributes {
    popovertarget?: string
    popovertargetaction?: 'hide' | 'show' | 'toggle'
  }
}
