import { createHash } from 'node:crypto'
import subsetFont from 'subset-font'
import type { Plugin } from 'vite'

/** The weights that the styles use. */
const weights = { min: 400, max: 650 }

/** Letters that stand well beside each other, and figures of one width. */
const features = ['kern', 'tnum', 'mark', 'ccmp']

const between = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n)
/** What names and words of western languages are written with, the marks beside them, and arrows. */
const letters = String.fromCodePoint(
  ...between(0x20, 0x7e), 0xa0, 0xa1, 0xa9, 0xab, 0xb0, 0xb7, 0xbb, ...between(0xbf, 0xff), 0x131, 0x152, 0x153, 0x2c6, 0x2da, 0x2dc, 0x2013, 0x2014,
  0x2018, 0x2019, 0x201a, 0x201c, 0x201d, 0x201e, 0x2022, 0x2026, 0x2039, 0x203a, 0x20ac, 0x2191, 0x2193, 0x2212,
)

/** Cuts the font to what the app shows: it is a sixth of what a first visit has to fetch. */
export function font(): Plugin {
  return {
    name: 'ownline:font',
    apply: 'build',
    enforce: 'post',
    async generateBundle(_, bundle) {
      const named = new Map<string, string>()
      for (const [key, file] of Object.entries(bundle)) {
        if (file.type !== 'asset' || !file.fileName.endsWith('.woff2')) continue
        const source = await subsetFont(Buffer.from(file.source), letters, { targetFormat: 'woff2', variationAxes: { wght: weights }, keepFeatures: features })
        const hash = createHash('sha256').update(source).digest('base64url').slice(0, 8)
        const fileName = file.fileName.replace(/-[\w-]{8}\.woff2$/, `-${hash}.woff2`)
        named.set(file.fileName, fileName)
        delete bundle[key]
        this.emitFile({ type: 'asset', fileName, source })
      }
      if (named.size === 0) this.error('there is no font in the build')
      for (const file of Object.values(bundle)) {
        if (file.type !== 'asset' || !/\.(?:css|html)$/.test(file.fileName)) continue
        for (const [before, after] of named) {
          const [old, now] = [before, after].map((path) => path.replace(/^.*\//, ''))
          file.source = String(file.source).replaceAll(old ?? '', now ?? '')
        }
      }
    },
  }
}
