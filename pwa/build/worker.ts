import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Plugin, transformWithOxc } from 'vite'

/**
 * Builds src/sw/sw.ts to sw.js, which keeps what else was built on the device, but the licences and
 * the pictures of the manifest: it is told the addresses, and a version that is the hash of what
 * stands there.
 */
export function worker(): Plugin {
  const source = fileURLToPath(new URL('../src/sw/sw.ts', import.meta.url))
  let outDir = ''
  return {
    name: 'ownline:worker',
    apply: 'build',
    configResolved(config) {
      outDir = join(config.root, config.build.outDir)
    },
    async closeBundle() {
      const entries = await readdir(outDir, { recursive: true, withFileTypes: true })
      const names = entries
        .filter((entry) => entry.isFile() && !/^(sw\.js|licences\.txt)$|\.webp$/.test(entry.name))
        .map((entry) => relative(outDir, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
        .toSorted()
      const hash = createHash('sha256')
      for (const name of names) hash.update(`${name}\0`).update(await readFile(join(outDir, name)))
      // The one page has no other address than those of the app's pages.
      const files = names.map((name) => (name === 'index.html' ? '/' : `/${name}`))
      const { code } = await transformWithOxc(await readFile(source, 'utf8'), source)
      const told = `const build=${JSON.stringify({ version: hash.digest('hex').slice(0, 16), files })};\n`
      await writeFile(join(outDir, 'sw.js'), told + code)
    },
  }
}
