import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { initWasm, Resvg } from '@resvg/resvg-wasm'
import type { Plugin } from 'vite'

/** Where launchers cut a shape out of an icon: all of it is ground, with the mark inside the safe circle. */
function masked(svg: string): string {
  const parts = /^<svg[^>]*>\s*<rect[^>]*fill="(#\w+)"[^>]*\/>([\s\S]*)<\/svg>\s*$/.exec(svg)
  if (parts === null) throw new Error('icon.svg does not begin with its ground')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><rect width="512" height="512" fill="${parts[1]}"/>${parts[2]}</svg>`
}

/** Draws the icons that systems want as PNG from the one that is an SVG. */
export function icons(): Plugin {
  const source = fileURLToPath(new URL('../public/icon.svg', import.meta.url))
  return {
    name: 'ownline:icons',
    apply: 'build',
    async generateBundle() {
      const svg = await readFile(source, 'utf8')
      const wasm = createRequire(import.meta.url).resolve('@resvg/resvg-wasm/index_bg.wasm')
      await initWasm(await readFile(wasm))
      for (const [fileName, picture, width] of [
        ['icon-180.png', masked(svg), 180],
        ['icon-192.png', svg, 192],
        ['icon-512.png', svg, 512],
        ['icon-maskable-512.png', masked(svg), 512],
      ] as const) {
        const drawn = new Resvg(picture, { fitTo: { mode: 'width', value: width } }).render()
        this.emitFile({ type: 'asset', fileName, source: drawn.asPng() })
      }
    },
  }
}
