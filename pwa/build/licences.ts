import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Plugin } from 'vite'

interface Package {
  name: string
  version: string
  license?: string
}

/** The folder of the package that a module is of; undefined: it is our own. */
function folderOf(module: string): string | undefined {
  const path = module.replace(/^\0/, '').split('?')[0] ?? ''
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]
}

async function textOf(folder: string): Promise<string> {
  const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Package
  const names = (await readdir(folder)).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
  const texts = await Promise.all(names.toSorted().map((name) => readFile(join(folder, name), 'utf8')))
  const head = `${about.name} ${about.version} (${about.license ?? 'see below'})`
  return [head, ...texts.map((text) => text.trim())].join('\n\n')
}

/** Writes the licences of all packages that are in the build to licences.txt, as most of them ask for. */
export function licences(): Plugin {
  return {
    name: 'ownline:licences',
    apply: 'build',
    async generateBundle(_, bundle) {
      const folders = new Set<string>()
      for (const file of Object.values(bundle)) {
        const modules = file.type === 'chunk' ? file.moduleIds : file.originalFileNames.map((name) => join(process.cwd(), name))
        for (const module of modules) {
          const folder = folderOf(module)
          if (folder) folders.add(folder)
        }
      }
      const texts = await Promise.all([...folders].toSorted().map(textOf))
      const line = `\n\n${'-'.repeat(72)}\n\n`
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: `${texts.join(line)}\n` })
    },
  }
}
