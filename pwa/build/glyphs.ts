import { createRequire } from 'node:module'
import type { Plugin } from 'vite'

const library = '@mdi/js'
const prefix = '\0glyph:'

/** What a path is made of where numbers name places and stand apart: else rounding would move or join them. */
const plain = /^(?:[A-Z ,]|-?\d+(?:\.\d+)?(?![\d.]))+$/

/**
 * A path to a tenth of a unit. The grid has 24 units and is drawn at some 24 pixels, so nobody sees what
 * is lost; and as the paths name places, not distances, what is lost does not add up.
 */
export function rounded(path: string): string {
  if (!plain.test(path)) return path
  return path.replaceAll(/\d+\.\d+/g, (number) => String(Math.round(Number(number) * 10) / 10))
}

/**
 * Makes a module of each icon that is imported. The library is one module of all: bundled as it
 * is, every page would bring the icons of all others.
 */
export function glyphs(): Plugin {
  const paths = createRequire(import.meta.url)(library) as Record<string, string>
  return {
    name: 'ownline:glyphs',
    apply: 'build',
    resolveId: (id) => (id.startsWith(prefix) ? id : undefined),
    load(id) {
      if (!id.startsWith(prefix)) return undefined
      const name = id.slice(prefix.length)
      const path = paths[name]
      if (!path) this.error(`${library} has no icon ${name}`)
      return `export const ${name} = ${JSON.stringify(rounded(path))}`
    },
    transform: {
      order: 'post',
      handler(code, id) {
        if (id.includes('/node_modules/') || !code.includes(library)) return undefined
        const each = code.replace(/import\s*\{([^}]*)\}\s*from\s*["']@mdi\/js["'];?/g, (_, names: string) =>
          names
            .split(',')
            .map((name) => name.trim())
            .filter(Boolean)
            .map((name) => `import { ${name} } from ${JSON.stringify(prefix + name)};`)
            .join(' '),
        )
        return { code: each, map: null }
      },
    },
  }
}
