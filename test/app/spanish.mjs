// Journey 20: every page in Spanish, at the two widths of phones: no English is left, and nothing is
// cut off.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { journey, phone, see } from './harness.mjs'

/** All that the app may say, by its key: a text, or for what is made of parts a pattern. */
async function messages(language) {
  const { rolldown } = await import(pathToFileURL(createRequire(new URL('../../pwa/package.json', import.meta.url)).resolve('rolldown')))
  const bundle = await rolldown({ input: fileURLToPath(new URL(`../../pwa/src/messages/${language}/index.ts`, import.meta.url)) })
  const { output } = await bundle.generate({ format: 'esm' })
  const pack = await import(`data:text/javascript,${encodeURIComponent(output[0].code)}`)
  const all = new Map()
  const add = (value, path) => {
    if (typeof value === 'string') return all.set(path, value)
    if (typeof value === 'object') return Object.entries(value).forEach(([key, inner]) => add(inner, `${path}.${key}`))
    for (const samples of [['\u0001', '\u0001', '\u0001', '\u0001'], ['\u0001', 7], [7, 7, 7], [['\u0001', '\u0001']]]) {
      try {
        const text = String(value(...samples))
        if (!/NaN|undefined/.test(text)) return all.set(path, text)
      } catch {
        // Not what this one is made of.
      }
    }
  }
  add(pack[language], '')
  return all
}

const english = await messages('en')
const spanish = await messages('es')
assert(english.size > 400, `there are only ${english.size} messages`)
const patterns = []
const texts = new Set()
for (const [key, text] of english) {
  if (spanish.get(key) === text || [...spanish.values()].includes(text)) continue
  if (!/[\u00017]/.test(text)) texts.add(text)
  else if (/[a-z]{3}/i.test(text)) patterns.push(new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/[\u00017]+/g, '.+')}$`))
}
/** Words that no Spanish text has. */
const words = /\b(the|your|you|of|from|this|that|until|and|with|not|are|is|has|for|open|closed|by|to)\b/i

/** What a page says, and what of it is cut off. */
function look() {
  const said = []
  const cut = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const range = document.createRange()
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim()
    const parent = walker.currentNode.parentElement
    if (!text || parent.closest('script, style, .hidden-text') || !parent.checkVisibility({ visibilityProperty: true })) continue
    if (!parent.closest('[translate=no], .mono, code, kbd, pre')) said.push(text)
    range.selectNodeContents(walker.currentNode)
    const box = range.getBoundingClientRect()
    if (box.width === 0 || parent.closest('option, .skip')) continue
    for (let around = parent; around; around = around.parentElement) {
      const { overflowX } = getComputedStyle(around)
      if (['auto', 'scroll'].includes(overflowX) && around !== document.documentElement && around !== document.body && around.scrollWidth > around.clientWidth) break
      const edge = around === document.documentElement ? innerWidth : overflowX === 'visible' ? Infinity : around.getBoundingClientRect().right
      if (box.right > edge + 1) {
        cut.push(text)
        break
      }
    }
  }
  for (const one of document.querySelectorAll('[aria-label], [placeholder], [title], [alt]')) {
    for (const name of ['aria-label', 'placeholder', 'title', 'alt']) if (one.getAttribute(name)) said.push(one.getAttribute(name))
  }
  said.push(document.title)
  return { said, cut, wide: document.documentElement.scrollWidth - innerWidth, language: document.documentElement.lang }
}

await journey(async (world, browsers) => {
  const { id } = await world.addProxied('fotos', { automatic: true })
  await world.letIn()
  const { id: session } = await world.call('POST', '/sessions', { service: id, source: world.addresses.client1 })
  const past = await world.call('POST', '/sessions', { service: id, source: world.addresses.stranger })
  await world.call('DELETE', `/sessions/${past.id}`)
  const device = await world.call('POST', '/devices', { site: world.site, name: 'reloj' })
  const invitation = await world.call('POST', '/invitations', { service: id, message: 'Hola' })
  const user = await world.me()

  const context = await browsers.new({ ...phone, locale: 'es-ES' })
  const page = await context.newPage()
  /** What is nobody's words but people's own. */
  const own = new RegExp(`^(${[world.name, 'fotos', 'reloj', 'Hola', 'home', 'ownline', 'English', 'Ownline'].join('|')})$`)
  const troubles = []

  async function check(where) {
    await page.waitForFunction(() => !document.querySelector('[aria-busy=true], .skeleton'))
    for (const width of [390, 320]) {
      await page.setViewportSize({ width, height: 844 })
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
      const { said, cut, wide, language } = await page.evaluate(look)
      assert(said.length > 1, `${where} says nothing`)
      if (language !== 'es') troubles.push(`${where}: lang is ${language}`)
      if (wide > 0) troubles.push(`${where}, ${width}: ${wide} pixels wider than the window`)
      for (const text of cut) troubles.push(`${where}, ${width}: cut off: ${text}`)
      if (width === 320) continue
      for (const text of new Set(said)) {
        if (own.test(text)) continue
        if (texts.has(text) || words.test(text) || patterns.some((one) => one.test(text))) troubles.push(`${where}: English: ${text}`)
      }
    }
    await page.setViewportSize(phone.viewport)
  }

  /** Loads a page and waits until it is all there: until it says something that it was told. */
  async function visit(path, text, within = page.getByRole('main')) {
    await page.goto(path)
    await see(within, text)
    await check(path)
    const name = await page.title()
    if (!/. · Ownline$/.test(name)) troubles.push(`${path}: the window is called ${name}`)
  }

  await visit('/setup', 'Pégalo entero.')
  await visit('/login', 'Contraseña')
  await page.getByLabel('Nombre de usuario').fill(world.name)
  await page.getByLabel('Contraseña', { exact: true }).fill('no es esta')
  await page.getByRole('button', { name: 'Entrar', exact: true }).click()
  await page.getByRole('alert').waitFor()
  await check('/login, refused')
  await page.getByLabel('Contraseña', { exact: true }).fill(world.password)
  await page.getByRole('button', { name: 'Entrar', exact: true }).click()
  await page.getByRole('heading', { level: 2 }).first().waitFor()

  const sheets = {
    [`/services/${id}`]: 'Se abre cuando llama este dispositivo', [`/sessions/${session}`]: world.addresses.client1, '/invitations/new': 'Crear invitación', [`/invitations/${invitation.id}`]: 'Hola',
    '/devices/new': 'Mostrar su código', [`/devices/${device.id}`]: 'Añadido', [`/history/${past.id}`]: world.addresses.stranger,
    '/admin/users/new': 'Añadir usuario', '/admin/sites/pair': 'Emparejar',
  }
  const pages = {
    '/': 'fotos', '/services': 'fotos', '/invitations': 'fotos', '/devices': 'reloj', '/history': world.addresses.stranger,
    '/settings': 'Ajustes', '/settings/look': 'Tema', '/settings/sign-in': 'Contraseña', '/settings/tokens': 'Token nuevo', '/settings/notifications': 'Canales', '/settings/app': /^Ownline ./,
    '/admin/users': world.name, [`/admin/users/${user}`]: 'reloj', '/admin/services': 'fotos', '/admin/services/new': 'Añadir servicio', [`/admin/services/${id}`]: 'fotos',
    '/admin/grants': 'fotos', '/admin/sites': 'home', [`/admin/sites/${world.site}`]: 'home', '/admin/audit': 'fotos', '/admin/audit/refusals': 'Periodo',
    '/client': 'Código del dispositivo', '/nowhere': 'Aquí no hay nada',
  }
  for (const [path, text] of Object.entries(pages)) await visit(path, text)
  for (const [path, text] of Object.entries(sheets)) await visit(path, text, page.getByRole('dialog'))
  await browsers.shoot('spanish')
  await page.goto(invitation.link)
  await page.locator('h1').waitFor()
  await check('the guest page')
  assert.deepEqual(troubles, [])

  await world.call('DELETE', `/invitations/${invitation.id}`)
  await world.call('DELETE', `/devices/${device.id}`)
  await world.call('DELETE', '/sessions')
})
