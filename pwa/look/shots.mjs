// Takes the pictures in docs/screenshots: `npm run screenshots [FOLDER]`. ALL=1 takes them of every scene.
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { scenes } from './scenes.mjs'
import { keeps, stage } from './stage.mjs'

const folder = resolve(process.argv[2] ?? '../docs/screenshots')
const all = process.env.ALL === '1'
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })

async function look(page, { size, language, theme }, scene) {
  // It ends with the page: a session that ends earlier takes along that the page is offline.
  const session = await page.context().newCDPSession(page)
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 50 })
  const name = [scene.name, size, theme, ...(language === 'en' ? [] : [language])].join('-')
  await writeFile(join(folder, `${name}.webp`), Buffer.from(data, 'base64'))
  return []
}

const views = (size, language) => ['light', 'dark'].map((theme) => ({ size, language, theme }))

function tour(scene) {
  const spoken = scene.spanish ? ['en', 'es'] : ['en']
  return ['phone', 'desktop'].flatMap((size) =>
    keeps(scene)
      ? spoken.map((language) => ({ size, language, views: views(size, language) }))
      : [{ size, language: 'en', views: spoken.flatMap((language) => views(size, language)) }],
  )
}

const { failures } = await stage({ scenes: scenes.filter(({ shot }) => shot || all), tour, look })
const names = await readdir(folder)
const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
const total = sizes.reduce((sum, size) => sum + size, 0)
process.stdout.write(`${names.length} pictures, ${Math.round(total / 1000)} KB\n`)
process.exitCode = failures > 0 ? 1 : 0
