import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'

const folder = new URL('../../docs/screenshots/', import.meta.url)

/** Adds the pictures that the manifest shows to whoever installs the app: those of the docs. */
export function pictures(): Plugin {
  const manifest = fileURLToPath(new URL('../public/manifest.webmanifest', import.meta.url))
  return {
    name: 'ownline:pictures',
    apply: 'build',
    async generateBundle() {
      const { screenshots } = JSON.parse(await readFile(manifest, 'utf8')) as { screenshots: { src: string }[] }
      for (const { src } of screenshots) {
        const fileName = src.slice(1)
        const name = fileName.replace('screenshots/', '')
        this.emitFile({ type: 'asset', fileName, source: await readFile(new URL(name, folder)) })
      }
    },
  }
}
