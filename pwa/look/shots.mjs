// Takes the pictures in docs/screenshots: `npm run screenshots [FOLDER]`.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { scenes } from './scenes.mjs'
import { drawIn, stage, themes } from './stage.mjs'

const folder = resolve(process.argv[2] ?? '../docs/screenshots')
const all = process.env.ALL === '1'
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })

async function look(page, { size, language, scene }) {
  const session = await page.context().newCDPSession(page)
  for (const theme of themes) {
    await drawIn(page, theme)
    const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 60 })
    const name = [scene.name, size, theme, ...(language === 'en' ? [] : [language])].join('-')
    await writeFile(join(folder, `${name}.webp`), Buffer.from(data, 'base64'))
  }
  return []
}

const failures = await stage({
  scenes: scenes.filter(({ shot }) => shot || all),
  speaks: (scene, language) => language === 'en' || scene.spanish === true,
  languages: ['en', 'es'],
  look,
})
process.exitCode = failures > 0 ? 1 : 0
