import { defineStore } from 'pinia'
import { ref } from 'vue'
import { local } from './local'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const storageKey = 'ownline.theme'

function stored(): Theme {
  const value = local.get(storageKey)
  return themes.find((theme) => theme === value) ?? 'system'
}

/** Light, dark, or as the system has it. */
export const useTheme = defineStore('theme', () => {
  const name = ref<Theme>(stored())
  // The browser's own bars follow the system by the media of these; a choice overrides that.
  const bars = [...document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')]
  const colours = bars.map((bar) => bar.content)

  function apply(): void {
    const { dataset } = document.documentElement
    if (name.value === 'system') delete dataset['theme']
    else dataset['theme'] = name.value
    for (const [index, bar] of bars.entries()) {
      const chosen = name.value === 'system' ? index : Number(name.value === 'dark')
      bar.content = colours[chosen] ?? bar.content
    }
  }

  function choose(theme: Theme): void {
    name.value = theme
    local.set(storageKey, theme)
    apply()
  }

  return { name, apply, choose }
})
