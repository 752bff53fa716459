import { tintOf } from '../../src/components/service/tint'
import { parseSecret, type Reply } from './sealed'
import { byAPI, byBroker, type Config, Failure, type Way } from './ways'
import { type Words, wordsFor } from './words'

type Child = Node | string

function element<K extends keyof HTMLElementTagNameMap>(name: K, props: Partial<HTMLElementTagNameMap[K]>, ...children: Child[]): HTMLElementTagNameMap[K] {
  const e = Object.assign(document.createElement(name), props)
  e.append(...children)
  return e
}

/** Milliseconds. Whoever is shut out meets the page for two minutes more: time to learn why. */
const lookEvery = 5_000

/** Milliseconds after what is shown changed in which a tap was meant for what stood there before: the second of a double tap. */
const settles = 1_000

/** What is wrong, where nothing else is said: said at once, and the page's heading. */
function trouble(text: string): HTMLElement {
  return element('div', { role: 'alert' }, element('h1', { className: 'bad' }, text))
}

/** Shows what the link opens. Nothing is opened before the button is pressed. */
export async function startPage(root: HTMLElement): Promise<void> {
  const { language, locale, words } = wordsFor(navigator.languages)
  document.documentElement.lang = language
  const page = new Page(root, locale, words)
  // The secret stays in the address, so that the page can be loaded again.
  addEventListener('hashchange', () => void page.start())
  await page.start()
  page.settled()
}

class Page {
  private timer: number | undefined
  private changed = -Infinity
  private looks: number | undefined
  private looking: (() => Promise<void>) | undefined

  constructor(
    private readonly root: HTMLElement,
    private readonly locale: string,
    private readonly words: Words,
  ) {}

  async start(): Promise<void> {
    this.show(element('p', { className: 'muted' }, this.words.loading))
    const text = location.hash.slice(1)
    const secret = parseSecret(text)
    if (secret === undefined) {
      this.show(trouble(this.words.noSecret))
      return
    }
    await this.trying(
      async () => {
        const answer = await fetch('./config.json', { cache: 'no-store' })
        if (!answer.ok) throw new Failure('failed')
        const config = (await answer.json()) as Config
        const way = config.way === 'mqtt' ? await byBroker(config, secret) : byAPI(text)
        this.tell(way, await way.ask('show'))
      },
      () => this.start(),
    )
  }

  /** Whoever has only come has tapped nothing yet. */
  settled(): void {
    this.changed = -Infinity
  }

  /** A button for what opens, ends or uses up something, once for each time that it is shown. */
  private once(props: Partial<HTMLButtonElement>, act: (button: HTMLButtonElement) => void): HTMLButtonElement {
    const button = element('button', { type: 'button', ...props })
    button.addEventListener('click', ({ detail }) => {
      // Keys have no detail: nobody presses them twice by mistake.
      if (detail > 0 && performance.now() - this.changed < settles) return
      button.disabled = true
      act(button)
    })
    return button
  }

  /** Runs what may fail, and offers to try again, where that helps. */
  private async trying(f: () => Promise<void>, again: () => Promise<void>): Promise<void> {
    try {
      await f()
    } catch (e) {
      const why = e instanceof Failure ? e.trouble : 'failed'
      this.show(trouble(this.words[why]), ...(why === 'unknown' ? [] : [this.again(again)]))
    }
  }

  private again(f: () => Promise<void>): HTMLElement {
    return element('button', { type: 'button', className: 'quiet', onclick: () => void f() }, this.words.again)
  }

  private tell(way: Way, reply: Reply): void {
    const w = this.words
    switch (reply.status) {
      case 'valid':
        return reply.inside === undefined ? this.offer(way, reply) : this.inside(reply)
      case 'opened':
        return this.opened(way, reply)
      case 'used':
      case 'revoked':
      case 'expired':
        return this.show(element('h1', {}, this.ending(reply) ?? ''), element('p', { className: 'muted' }, w.askAnother))
      case 'refused':
        return this.show(
          element('h1', {}, w.refused),
          this.why(reply),
          this.again(() => this.start()),
        )
      case 'unavailable':
      case 'clock':
        return this.show(trouble(w[reply.status]), this.again(() => this.start()))
      default:
        return this.show(trouble(w.failed))
    }
  }

  /** Why a link opens nothing any more. */
  private ending({ status, until, time }: Reply): string | undefined {
    if (status === 'used' || status === 'revoked') return this.words[status]
    return status === 'expired' ? this.words.expired(this.day(until ?? time)) : undefined
  }

  /** Why nothing was opened: in words of the page's own, or as the server says it. */
  private why({ code = '', detail = '', params }: Reply): HTMLElement {
    const said = this.words.refusals[code]?.replaceAll(/\{([a-z]+)\}/g, (place, name: string) => params?.[name] ?? place)
    return element('p', { className: 'bad', role: 'alert', ...(said === undefined ? { lang: 'en' } : {}) }, said ?? detail)
  }

  /** What redeems, with its words. */
  private redeem(way: Way, text: string): HTMLButtonElement {
    return this.once({ textContent: text }, (button) => {
      button.textContent = this.words.opening
      void this.trying(
        async () => this.tell(way, await way.ask('redeem')),
        () => this.start(),
      )
    })
  }

  private offer(way: Way, reply: Reply): void {
    const w = this.words
    const address = way.address() ?? ''
    const family = address.includes(':') ? 6 : 4
    const fits = address === '' || reply.families === undefined || reply.families.includes(family)
    const shared = isShared(address)
    const service = reply.service ?? ''
    const length = this.duration(reply.seconds ?? 0)
    const button = this.redeem(way, w.open(service, length))
    button.disabled = !fits || shared
    this.show(
      mark(way, reply),
      element('h1', {}, w.title(reply.from ?? '', service, length)),
      ...(reply.message ? [element('blockquote', {}, reply.message)] : []),
      ...(address === '' ? [] : [element('p', {}, w.only(address))]),
      this.facts([
        [w.host, reply.host ?? ''],
        [w.until, this.moment(reply.until ?? 0)],
      ]),
      shared
        ? element('p', { className: 'bad' }, w.shared)
        : element('p', { className: fits ? 'muted' : 'bad' }, fits ? w.explain : w.family(reply.families?.[0] ?? 4)),
      button,
    )
    button.focus()
  }

  private inside(reply: Reply): void {
    const w = this.words
    const at = reply.inside ?? ''
    this.show(
      element('h1', { className: 'ok' }, w.inside),
      element('p', {}, w.insideHelp),
      ...(safeURL(at) ? [this.link(at, reply)] : [this.copyable(at)]),
    )
  }

  private link(href: string, reply: Reply): HTMLElement {
    return element('a', { className: 'go', href, rel: 'noreferrer' }, this.words.go(reply.service ?? ''))
  }

  private copyable(text: string): HTMLElement {
    const w = this.words
    const button = element('button', { type: 'button', className: 'quiet' }, w.copy)
    button.addEventListener('click', () => void copy(text).then((done) => (button.textContent = done ? w.copied : w.notCopied)))
    return element('div', { className: 'copy' }, element('code', {}, text), button)
  }

  private opened(way: Way, reply: Reply): void {
    const w = this.words
    const host = reply.host?.includes(':') ? `[${reply.host}]` : (reply.host ?? '')
    // A name leads to it, or an address and a port; never what the other has.
    const url = safeURL(reply.url) ? reply.url : undefined
    const count = element('p', { className: 'count', ariaHidden: 'true' })
    const rest = ring()
    const time = element('div', { className: 'time', role: 'img' }, rest.drawing, count)
    const whole = reply.seconds === undefined ? undefined : reply.seconds * 1000
    const length = (reply.expires ?? 0) - reply.time
    this.show(
      mark(way, reply),
      element('h1', { className: 'ok' }, w.opened(reply.service ?? '')),
      time,
      ...(url === undefined ? [element('p', { className: 'muted' }, w.connect)] : [this.link(url, reply)]),
      this.copyable(url ?? `${host}:${reply.port ?? 0}`),
      element('p', { className: 'muted' }, w.closes(this.time(Date.now() + length))),
      ...(way.leave ? [this.leave(way, way.leave)] : []),
    )
    // By web's clock: that of the guest's device may be wrong.
    const end = performance.now() + length
    const tick = (): void => {
      const left = end - performance.now()
      if (left <= 0) {
        this.show(element('h1', {}, w.over), element('p', { className: 'muted' }, w.askAnother))
        return
      }
      count.textContent = clock(Math.ceil(left / 1000))
      time.setAttribute('aria-label', w.left(this.duration(Math.ceil(left / 60_000) * 60)))
      rest.draw(left / (whole ?? length))
      this.timer = window.setTimeout(tick, 500)
    }
    tick()
    this.watch(way, reply)
  }

  private leave(way: Way, leave: () => Promise<void>): HTMLElement {
    return this.once({ className: 'quiet', textContent: this.words.leave }, (button) => void this.left(way, leave, button))
  }

  private async left(way: Way, leave: () => Promise<void>, button: HTMLElement): Promise<void> {
    const w = this.words
    try {
      await leave()
    } catch {
      return button.replaceWith(element('p', { className: 'bad', role: 'alert' }, w.notLeft))
    }
    const now = await way.ask('show').catch(() => undefined)
    const ending = now && this.ending(now)
    this.show(
      element('h1', {}, w.closed),
      ...(ending === undefined ? [] : [element('p', { className: 'muted' }, `${ending} ${w.askAnother}`)]),
      ...(now?.status === 'valid' ? [this.redeem(way, w.openAgain)] : []),
      ...(now?.status !== 'valid' && ending === undefined ? [this.again(() => this.start())] : []),
    )
  }

  /** Looks, when the guest comes back to the page and now and then, whether it is still open for where they are. */
  private watch(way: Way, was: Reply): void {
    let busy = false
    const look = async (): Promise<void> => {
      if (busy || document.hidden || way.leave === undefined) return
      const before = was.source
      busy = true
      const now = await way.ask('show').catch((e: unknown) => (e instanceof Failure && e.trouble === 'unknown' ? e : undefined))
      busy = false
      if (this.looking !== look || now === undefined) return
      // Asked on and on, that would pass for guessing, and shut out others at this address.
      if (now instanceof Failure) return this.show(trouble(this.words.unknown))
      if (now.status === 'opened') return
      const address = way.address() ?? ''
      if (before === undefined || before.startsWith(`${address}/`)) return this.tell(way, now)
      this.show(
        element('h1', {}, this.words.changed),
        ...(address === '' ? [] : [element('p', {}, this.words.only(address))]),
        ...(now.status === 'valid' ? [this.redeem(way, this.words.openNew)] : []),
      )
    }
    this.looking = look
    this.looks = window.setInterval(look, lookEvery)
    document.addEventListener('visibilitychange', look)
    addEventListener('online', look)
  }

  private facts(rows: [string, Child][]): HTMLElement {
    return element('dl', {}, ...rows.filter(([, v]) => v !== '').flatMap(([k, v]) => [element('dt', {}, k), element('dd', {}, v)]))
  }

  private duration(seconds: number): string {
    const parts: [number, string][] = [
      [Math.floor(seconds / 86400), 'day'],
      [Math.floor((seconds % 86400) / 3600), 'hour'],
      [Math.floor((seconds % 3600) / 60), 'minute'],
      [seconds % 60, 'second'],
    ]
    return parts
      .filter(([n]) => n > 0)
      .map(([n, unit]) => new Intl.NumberFormat(this.locale, { style: 'unit', unit, unitDisplay: 'long' }).format(n))
      .join(' ')
  }

  private moment(ms: number): string {
    return new Intl.DateTimeFormat(this.locale, { dateStyle: 'long', timeStyle: 'short' }).format(ms)
  }

  private day(ms: number): string {
    return new Intl.DateTimeFormat(this.locale, { dateStyle: 'long' }).format(ms)
  }

  private time(ms: number): string {
    return new Intl.DateTimeFormat(this.locale, { timeStyle: 'short' }).format(ms)
  }

  private show(...children: Child[]): void {
    this.changed = performance.now()
    clearTimeout(this.timer)
    clearInterval(this.looks)
    if (this.looking) {
      document.removeEventListener('visibilitychange', this.looking)
      removeEventListener('online', this.looking)
      this.looking = undefined
    }
    this.root.replaceChildren(...children)
  }
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

export function clock(seconds: number): string {
  const h = Math.floor(seconds / 3600)
  return `${h > 0 ? `${h}:` : ''}${h > 0 ? two(Math.floor((seconds % 3600) / 60)) : Math.floor(seconds / 60)}:${two(seconds % 60)}`
}

function drawn(name: string, attributes: Record<string, string>): SVGElement {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value)
  return e
}

/** Copies a text; false when the browser refuses. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}

/** What stands for a service, as in the app: its icon, else its first letter, on the colour of its name. */
function mark(way: Way, { service = '', icon = '' }: Reply): HTMLElement {
  const place = element('div', { className: 'mark', ariaHidden: 'true' })
  const letter = (): void => {
    place.dataset['tint'] = String(tintOf(service))
    place.textContent = [...service][0]?.toLocaleUpperCase() ?? '?'
  }
  const draw = async (): Promise<void> => {
    if (icon.startsWith('uploaded:') && way.picture) {
      return place.append(element('img', { src: await way.picture(icon), alt: '', onerror: letter }))
    }
    const path = /^[a-z]+$/.test(icon) ? (await import('../../src/components/service/glyphs')).glyphs[icon] : undefined
    if (path === undefined) return letter()
    const drawing = drawn('svg', { viewBox: '0 0 24 24' })
    drawing.append(drawn('path', { d: path, fill: 'currentcolor' }))
    place.dataset['tint'] = String(tintOf(service))
    place.append(drawing)
  }
  draw().catch(letter)
  return place
}

/** The time left, drawn as a ring; draw is told the share that is left. */
function ring(): { drawing: SVGElement; draw: (share: number) => void } {
  const drawing = drawn('svg', { viewBox: '0 0 52 52', class: 'ring', 'aria-hidden': 'true' })
  const circle = { cx: '26', cy: '26', r: '24', pathLength: '100' }
  const rest = drawn('circle', { ...circle, class: 'rest' })
  drawing.append(drawn('circle', circle), rest)
  return {
    drawing,
    draw: (share) => rest.setAttribute('stroke-dasharray', `${(Math.min(1, Math.max(0, share)) * 100).toFixed(2)} 100`),
  }
}

/** Whether an address is one of a carrier's, which many share: for those nothing is opened. */
function isShared(address: string): boolean {
  const [first, second] = address.split('.').map(Number)
  return first === 100 && second !== undefined && second >= 64 && second < 128
}

/** What web sends is trusted, but a link must never run a script. */
function safeURL(url: string | undefined): boolean {
  return url !== undefined && /^https?:\/\//.test(url)
}
