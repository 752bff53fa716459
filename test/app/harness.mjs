// What journeys share: the world outside of the browser, browsers in it, and what must never happen.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { chromium } = createRequire(new URL('../../pwa/package.json', import.meta.url))('playwright-core')

/** What the Go side tells: url, router, host (its name), name, password, site, chromium, spki, resolve, detour and addresses (of IPv6 with a 6), lan, shots. */
const told = JSON.parse(process.argv[2])

/** How long anything may take: the machine may be busy. */
const patience = 40_000

/** The world outside of the browser; house.do in journey_test.go answers. */
class World {
  #waiting = new Map()
  #last = 0

  constructor() {
    Object.assign(this, told)
    createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, value, error } = JSON.parse(line)
      const { resolve, reject } = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error) reject(new Error(error))
      else resolve(value)
    })
  }

  do(what, ...args) {
    return new Promise((resolve, reject) => {
      this.#waiting.set(++this.#last, { resolve, reject })
      process.stdout.write(`${JSON.stringify({ id: this.#last, do: what, args })}\n`)
    })
  }

  /** The API as admin, from the LAN. */
  call(method, path, body) {
    return this.do('call', method, path, body ?? null)
  }

  /** core, web or broker */
  stop(name) {
    return this.do('stop', name)
  }

  kill(name) {
    return this.do('kill', name)
  }

  start(name) {
    return this.do('start', name)
  }

  /** Cuts the detour: who came to Ownline that way hears no more of it. */
  cut() {
    return this.do('cut')
  }

  mend() {
    return this.do('mend')
  }

  /** Whether a TCP port of the router is open to a host: client1, client2, stranger, lan. */
  reaches(host, port) {
    return this.do('reaches', host, port)
  }

  /** Changes web.yaml, which counts from the next start of web on. */
  edit(old, next) {
    return this.do('edit', old, next)
  }

  async me() {
    return (await this.call('GET', '/me')).id
  }

  async service(name) {
    const { items } = await this.call('GET', '/services')
    const found = items.find((service) => service.name === name)
    assert(found, `there is no service ${name}`)
    return found
  }

  /** Makes somebody who is no admin, with the admin's password; returns the id. */
  async addUser(name) {
    await this.do('web', `${this.password}\n`, ['user', 'add', '--permanent', name])
    const { items } = await this.call('GET', '/users')
    return items.find((user) => user.name === name).id
  }

  /** Lets somebody, or else the admin, use a service. */
  async grant(service, more = {}) {
    return this.call('POST', '/grants', { user: await this.me(), service, ...more })
  }

  /** Makes a service that the proxy serves from the LAN's web server, and grants it. */
  async addProxied(name, more = {}) {
    const service = await this.call('POST', '/services', { site: this.site, name, kind: 'proxy', target: `${this.lan}:80` })
    await this.grant(service.id, more)
    return service
  }

  /** Makes a service that forwards a port to the LAN's web server, or elsewhere, and grants it. */
  async addForward(name, more = {}, target = `${this.lan}:80`) {
    const service = await this.call('POST', '/services', { site: this.site, name, kind: 'forward', transport: 'tcp', target })
    await this.grant(service.id, more)
    return service
  }

  /** The live sessions of somebody. */
  async live(user) {
    return (await this.call('GET', `/sessions?state=live&user=${user}`)).items
  }

  /** Lets a host in to Ownline itself, as somebody at home would. */
  async letIn(host = 'client1', length = '30m') {
    const { id } = await this.service('ownline')
    const session = await this.call('POST', '/sessions', { service: id, source: this.addresses[host], for: length })
    await this.until(`${host} is let in`, () => this.reaches(host, 9999))
    return session
  }

  /** Ends everything: Ownline is dark to all but the LAN. */
  async dark(host = 'client1') {
    const { items } = await this.call('GET', '/sessions?state=live&all=true&limit=200')
    for (const { id } of items) await this.call('DELETE', `/sessions/${id}`)
    await this.until(`Ownline is dark to ${host}`, async () => !(await this.reaches(host, 9999)))
  }

  /** Waits for a condition. */
  async until(what, holds, length = patience) {
    const end = Date.now() + length
    for (;;) {
      if (await holds()) return
      assert(Date.now() < end, `not in time: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** Sizes that people have in their hands. */
export const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
export const laptop = { viewport: { width: 1440, height: 900 } }

/** What browsers write to the console by themselves when a server can't be reached, or refuses. */
const usual = /^Failed to load resource: |^WebSocket connection to .* failed/

/**
 * Whether a page has asked for what only those get who are signed in, or for a sign-in that the server
 * can't offer: none does that by itself.
 */
function untold(message) {
  const signingIn = message.location().url.includes('/api/v1/auth/')
  return (signingIn ? / status of 409 / : / status of 401 /).test(message.text())
}

class Browsers {
  #open = new Map()
  #contexts = []
  #expected = []
  problems = []

  constructor(world) {
    this.world = world
  }

  /** One Chromium per host and way; contexts keep people apart. */
  #launched(host, resolve) {
    const key = `${host} ${resolve}`
    if (!this.#open.has(key)) {
      this.#open.set(key, chromium.launch({
        executablePath: this.world.chromium[host],
        args: ['--no-sandbox', `--host-resolver-rules=${resolve}`, `--ignore-certificate-errors-spki-list=${this.world.spki}`],
      }))
    }
    return this.#open.get(key)
  }

  /**
   * A new person's browser: a context with nothing in it. Names lead where resolve says; by
   * world.detour it comes to Ownline past core.
   */
  async new(options = phone, host = 'client1', resolve = this.world.resolve) {
    const browser = await this.#launched(host, resolve)
    const context = await browser.newContext({ locale: 'en-GB', baseURL: this.world.url, ...options })
    context.setDefaultTimeout(patience)
    context.setDefaultNavigationTimeout(patience)
    context.on('weberror', (e) => this.problems.push(String(e.error())))
    context.on('console', (m) => {
      const text = `${m.text()} ${m.location().url}`
      const known = untold(m) ? this.#expected : [usual, ...this.#expected]
      if (['error', 'warning'].includes(m.type()) && !known.some((words) => words.test(text))) this.problems.push(text)
    })
    this.#contexts.push(context)
    return context
  }

  /** From now on, words like these on the console are part of the journey. */
  expect(words) {
    this.#expected.push(words)
  }

  async shoot(what) {
    if (!this.world.shots) return
    for (const [i, page] of this.#contexts.flatMap((context) => context.pages()).entries()) {
      await page.screenshot({ path: `${this.world.shots}/${what}-${i}.png`, fullPage: true })
    }
  }

  /** What the pages say, for whoever reads why a journey failed. */
  async tell() {
    const pages = this.#contexts.flatMap((context) => context.pages())
    return Promise.all(pages.map(async (page) => `${page.url()}\n${await page.innerText('body').catch(String)}`))
  }

  async close() {
    await Promise.all([...this.#open.values()].map(async (browser) => (await browser).close()))
  }
}

/** Signs in by the page that is shown. */
export async function signIn(page, name = told.name, password = told.password) {
  await page.getByLabel('User name').fill(name)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** Goes to a place by the navigation. */
export async function place(page, name) {
  await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name, exact: true }).click()
}

/** Gives a page an authenticator that says yes to whatever it is asked. */
export async function authenticator(page) {
  const protocol = await page.context().newCDPSession(page)
  await protocol.send('WebAuthn.enable')
  await protocol.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasUserVerification: true, isUserVerified: true, hasResidentKey: true, hasPrf: true, automaticPresenceSimulation: true },
  })
}

/** Waits until a text is to be seen. */
export async function see(page, text) {
  await page.getByText(text).filter({ visible: true }).first().waitFor()
}

/** Waits as long as what has just been shown lets no tap close it, which may be the second of a double tap. */
export function settle() {
  return new Promise((resolve) => setTimeout(resolve, 1100))
}

/** Taps a button twice, as a hand does that trembles. */
export async function tapTwice(button) {
  await button.scrollIntoViewIfNeeded()
  await button.click({ trial: true })
  const { x, y, width, height } = await button.boundingBox()
  const { mouse } = button.page()
  await mouse.click(x + width / 2, y + height / 2)
  await new Promise((resolve) => setTimeout(resolve, 200))
  await mouse.click(x + width / 2, y + height / 2)
}

/** Opens a service as whoever is signed in on the page would by the API, past the app. */
export async function openFor(page, service, length) {
  const status = await page.evaluate(async (ask) => {
    const headers = { 'Content-Type': 'application/json' }
    return (await fetch('/api/v1/sessions', { method: 'POST', headers, body: JSON.stringify(ask) })).status
  }, { service, for: length })
  assert.equal(status, 201)
}

/** Whether the LAN's web server answers in a second tab, by whatever address leads to it. */
export async function loads(page, address, timeout = 20_000) {
  const tab = await page.context().newPage()
  try {
    await tab.goto(address, { timeout })
    return (await tab.innerText('body')).includes(`"host":"${new URL(address).host}"`)
  } catch {
    return false
  } finally {
    await tab.close()
    // A page behind others draws nothing, and its countdowns stand still.
    await page.bringToFront()
  }
}

/** Has toasts stay until they are dismissed, as they do under a pointer that rests there. */
export async function holdToasts(page) {
  await page.addInitScript(() => {
    new MutationObserver(() => {
      for (const toast of document.querySelectorAll('.toast')) toast.dispatchEvent(new PointerEvent('pointerenter'))
    }).observe(document, { subtree: true, childList: true })
  })
}

/** A toast, by what it says. */
export function toast(page, text) {
  return page.getByRole('region', { name: 'Notices' }).getByRole('listitem').filter({ hasText: text })
}

/** Waits until the service worker has the whole build, so that the page loads without a server. */
export async function cached(page) {
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready
    const worker = registration.active
    if (worker.state !== 'activated') await new Promise((resolve) => worker.addEventListener('statechange', resolve, { once: true }))
  })
}

/**
 * Plays a journey: play is given the world and the browsers. It fails when an assertion does, or
 * when a page has trouble: an exception, a word on the console, a breach of the content policy.
 */
export async function journey(play) {
  const world = new World()
  const browsers = new Browsers(world)
  try {
    await play(world, browsers)
    assert.deepEqual(browsers.problems, [], 'the pages have trouble')
  } catch (error) {
    await browsers.shoot('failed').catch(() => {})
    process.stderr.write(`${error.stack}\n${browsers.problems.join('\n')}\n${(await browsers.tell()).join('\n---\n')}\n`)
    process.exitCode = 1
  } finally {
    await browsers.close()
    process.stdin.destroy()
  }
}
