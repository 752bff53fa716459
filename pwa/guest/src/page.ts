import { parseSecret, type Reply } from './sealed'
import { byAPI, byBroker, type Config, Failure, type Way } from './ways'
import { type Words, wordsFor } from './words'

type Child = Node | string

function element<K extends keyof HTMLElementTagNameMap>(name: K, props: Partial<HTMLElementTagNameMap[K]>, ...children: Child[]): HTMLElementTagNameMap[K] {
  const e = Object.assign(document.createElement(name), props)
  e.append(...children)
  return e
}

/** Shows what the link opens. Nothing is opened before the button is pressed. */
export async function startPage(root: HTMLElement): Promise<void> {
  const { language, words } = wordsFor(navigator.languages)
  document.documentElement.lang = language
  const page = new Page(root, language, words)
  // The secret stays in the address, so that the page can be loaded again.
  addEventListener('hashchange', () => void page.start())
  await page.start()
}

class Page {
  private timer: number | undefined

  constructor(
    private readonly root: HTMLElement,
    private readonly language: string,
    private readonly words: Words,
  ) {}

  async start(): Promise<void> {
    this.show(element('p', { className: 'muted' }, this.words.loading))
    const text = location.hash.slice(1)
    const secret = parseSecret(text)
    if (secret === undefined) {
      this.show(element('p', { className: 'bad', role: 'alert' }, this.words.noSecret))
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

  /** Runs what may fail, and offers to try again. */
  private async trying(f: () => Promise<void>, again: () => Promise<void>): Promise<void> {
    try {
      await f()
    } catch (e) {
      const trouble = e instanceof Failure ? e.trouble : 'failed'
      this.show(element('p', { className: 'bad', role: 'alert' }, this.words[trouble]), this.again(again))
    }
  }

  private again(f: () => Promise<void>): HTMLElement {
    return element('button', { type: 'button', className: 'quiet', onclick: () => void f() }, this.words.again)
  }

  private tell(way: Way, reply: Reply): void {
    switch (reply.status) {
      case 'valid':
        return this.offer(way, reply)
      case 'opened':
        return this.opened(reply)
      case 'used':
      case 'expired':
      case 'revoked':
        return this.show(
          element('h1', {}, this.words[reply.status]),
          element('p', { className: 'muted' }, this.words.askAnother),
        )
      case 'refused':
        return this.show(
          element('h1', {}, this.words.refused),
          element('p', { className: 'bad', role: 'alert' }, reply.detail ?? ''),
          this.again(() => this.start()),
        )
      case 'unavailable':
      case 'clock':
        return this.show(element('p', { className: 'bad', role: 'alert' }, this.words[reply.status]), this.again(() => this.start()))
      default:
        return this.show(element('p', { className: 'bad', role: 'alert' }, this.words.failed))
    }
  }

  private offer(way: Way, reply: Reply): void {
    const w = this.words
    const address = way.address() ?? ''
    const family = address.includes(':') ? 6 : 4
    const fits = address === '' || reply.families === undefined || reply.families.includes(family)
    const button = element('button', { type: 'button', disabled: !fits }, w.open)
    button.addEventListener('click', () => {
      button.disabled = true
      button.textContent = w.opening
      void this.trying(
        async () => this.tell(way, await way.ask('redeem')),
        () => this.start(),
      )
    })
    this.show(
      element('h1', {}, w.title(reply.from ?? '')),
      ...(reply.message ? [element('blockquote', {}, reply.message)] : []),
      this.facts([
        [w.service, reply.service ?? ''],
        [w.host, reply.host ?? ''],
        [w.lasts, this.duration(reply.seconds ?? 0)],
        [w.until, this.moment(reply.until ?? 0)],
        [w.address, address],
      ]),
      element('p', { className: fits ? 'muted' : 'bad' }, fits ? w.explain : w.family(reply.families?.[0] ?? 4)),
      button,
    )
    button.focus()
  }

  private opened(reply: Reply): void {
    const w = this.words
    const host = reply.host?.includes(':') ? `[${reply.host}]` : (reply.host ?? '')
    const where = `${host}:${reply.port ?? 0}`
    const count = element('p', { className: 'count' })
    const view = [
      element('h1', { className: 'ok' }, w.opened(reply.service ?? '')),
      this.facts([[w.connect, element('code', {}, where)]]),
      ...(safeURL(reply.url) ? [element('a', { className: 'go', href: reply.url as string, rel: 'noreferrer' }, w.go)] : []),
      element('p', { className: 'muted' }, w.left),
      count,
    ]
    this.show(...view)
    // By web's clock: that of the guest's device may be wrong.
    const end = performance.now() + (reply.expires ?? 0) - reply.time
    const tick = (): void => {
      const left = Math.ceil((end - performance.now()) / 1000)
      if (left <= 0) {
        this.show(element('h1', {}, w.over), element('p', { className: 'muted' }, w.askAnother))
        return
      }
      count.textContent = clock(left)
      this.timer = window.setTimeout(tick, 500)
    }
    tick()
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
      .map(([n, unit]) => new Intl.NumberFormat(this.language, { style: 'unit', unit, unitDisplay: 'long' }).format(n))
      .join(' ')
  }

  private moment(ms: number): string {
    return new Intl.DateTimeFormat(this.language, { dateStyle: 'long', timeStyle: 'short' }).format(ms)
  }

  private show(...children: Child[]): void {
    clearTimeout(this.timer)
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

/** What web sends is trusted, but a link must never run a script. */
function safeURL(url: string | undefined): boolean {
  return url !== undefined && /^https?:\/\//.test(url)
}
