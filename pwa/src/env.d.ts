// Attributes that browsers know and Vue's types do not yet.
import 'vue'

declare module 'vue' {
  interface HTMLAttributes {
    autofocus?: boolean | ''
    popover?: '' | 'auto' | 'manual'
  }
  /** What falls through a part onto the element that it is. */
  interface AllowedComponentProps {
    'aria-keyshortcuts'?: string
    'aria-describedby'?: string
    tabindex?: number
  }
  interface ButtonHTMLAttributes {
    popovertarget?: string
    popovertargetaction?: 'hide' | 'show' | 'toggle'
  }
}
