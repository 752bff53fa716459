// What is run inside the page: each function stands alone, as it is sent there as text.
/* oxlint-disable unicorn/consistent-function-scoping, no-underscore-dangle */

/** Resolves when what was changed is drawn. */
export async function settled() {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => requestAnimationFrame(resolve))
}

/** Notes, from the start, by how much what is shown jumps without anybody having touched it. */
export function shifted() {
  globalThis.jumps = []
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue
      globalThis.jumps.push({ at: entry.startTime, value: entry.value, what: entry.sources.map(({ node }) => node?.className ?? node?.nodeName) })
    }
  }).observe({ type: 'layout-shift', buffered: true })
  // That letters take their own shape is a matter of the line: a busy machine has them late.
  document.fonts.addEventListener('loadingdone', () => (globalThis.lettered = performance.now()))
}

/** What jumped since the letters have their shape. */
export function jumps() {
  return globalThis.jumps.filter(({ at }) => at > (globalThis.lettered ?? 0) + 100)
}

/** Has the app say everything in a language; the words are there when it resolves. */
export async function speak(name) {
  const { $pinia } = document.querySelector('#app').__vue_app__.config.globalProperties
  const language = $pinia._s.get('language')
  if (language.name !== name) await language.choose(name)
}

/** Makes each word that the app says 35 % longer, once. */
export function lengthen() {
  if (globalThis.lengthened) return
  globalThis.lengthened = true
  const { $pinia } = document.querySelector('#app').__vue_app__.config.globalProperties
  const language = $pinia._s.get('language')
  const longer = (text) => text.replaceAll(/\p{L}+/gu, (word) => word + 'o'.repeat(Math.ceil(word.length * 0.35)))
  const all = (said) => {
    if (typeof said === 'string') return longer(said)
    if (typeof said === 'function') return (...given) => all(said(...given))
    if (said === null || typeof said !== 'object') return said
    return Object.fromEntries(Object.entries(said).map(([key, value]) => [key, all(value)]))
  }
  language.t = all(language.t)
}

/**
 * Says what of the text is cut off, broken within a word where there is little of it, lies over other
 * text or a code that cameras read, or makes the page scroll sideways; and which code is too small.
 */
export function fits() {
  const found = []
  const wide = document.documentElement.scrollWidth - innerWidth
  if (wide > 0) found.push(`the page scrolls sideways by ${wide} px`)

  const hidden = (style) => style.overflowX === 'hidden' || style.overflowX === 'clip' || style.overflowY === 'hidden' || style.overflowY === 'clip'
  /** What stands over others: texts of different layers may cover each other. */
  const layerOf = (element) => {
    for (let e = element; e; e = e.parentElement) {
      if (e.matches('dialog, [popover]')) return e
      const { position } = getComputedStyle(e)
      if (position === 'fixed' || position === 'sticky') return e
    }
    return undefined
  }
  /** What of it is not scrolled away. */
  const shown = (rects, element) => {
    let left = rects.map(({ left: l, top, right, bottom }) => ({ left: l, top, right, bottom }))
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      if (getComputedStyle(box).overflow === 'visible') continue
      const edge = box.getBoundingClientRect()
      left = left.map((r) => ({
        left: Math.max(r.left, edge.left), top: Math.max(r.top, edge.top), right: Math.min(r.right, edge.right), bottom: Math.min(r.bottom, edge.bottom),
      }))
    }
    return left.filter((r) => r.right > r.left && r.bottom > r.top)
  }
  const texts = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const text = node.data.trim()
    const parent = node.parentElement
    if (!text || parent.closest('noscript, script, style, [hidden], .hidden-text, .skip')) continue
    if (!parent.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    const rects = [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1)
    if (rects.length === 0) continue
    texts.push({ text, parent, rects: shown(rects, parent), layer: layerOf(parent) })
    for (let box = parent; box && box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box)
      if (style.overflowX === 'auto' || style.overflowX === 'scroll' || style.overflowY === 'auto' || style.overflowY === 'scroll') break
      if (!hidden(style) || style.display === 'inline') continue
      const edge = box.getBoundingClientRect()
      const out = rects.some((r) => r.left < edge.left - 1.5 || r.right > edge.right + 1.5 || r.top < edge.top - r.height / 2 || r.bottom > edge.bottom + r.height / 2)
      // What people named may be as long as they like, and says so by three dots.
      const dots = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none'
      if (out && !(dots && box.closest('[data-named]'))) {
        found.push(`cut off: “${text.slice(0, 60)}” in ${box.tagName.toLowerCase()}.${box.className}`)
        break
      }
    }
    if (parent.closest('button, .button, thead th') && !parent.closest('[data-named]')) {
      for (const { 0: word, index } of node.data.matchAll(/\p{L}{2,20}/gu)) {
        range.setStart(node, index)
        range.setEnd(node, index + word.length)
        if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) found.push(`broken: “${word}” of “${text.slice(0, 60)}”`)
      }
    }
    const first = rects[0]
    if (first.left < -1 && !parent.closest('.scroll, [data-scrolls]')) found.push(`outside: “${text.slice(0, 60)}”`)
  }
  for (const code of document.querySelectorAll('.qr')) {
    if (!code.checkVisibility()) continue
    const { width, height } = code.getBoundingClientRect()
    if (Math.min(width, height) < 200) found.push(`a code of ${Math.round(width)}x${Math.round(height)} px is too small to be read`)
    texts.push({ text: 'a code', parent: code, rects: shown([code.getBoundingClientRect()], code), layer: layerOf(code) })
  }
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i], texts[j]]
      if (a.layer !== b.layer || a.parent.contains(b.parent) || b.parent.contains(a.parent)) continue
      const over = a.rects.some((r) => b.rects.some((s) =>
        Math.min(r.right, s.right) - Math.max(r.left, s.left) > 2 && Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top) > 4))
      if (over) found.push(`“${a.text.slice(0, 40)}” lies over “${b.text.slice(0, 40)}”`)
    }
  }
  // On a phone a toast leaves a sheet's body and buttons to whoever goes on.
  for (const toast of innerWidth < 960 ? document.querySelectorAll('dialog[open] .toast') : []) {
    const t = toast.getBoundingClientRect()
    for (const used of toast.closest('dialog').querySelectorAll(':is(.body, .foot) :is(a, button, input, [tabindex])')) {
      const covered = shown([used.getBoundingClientRect()], used).some((r) => Math.min(r.right, t.right) > Math.max(r.left, t.left) && Math.min(r.bottom, t.bottom) > Math.max(r.top, t.top))
      if (covered) found.push(`a toast lies over “${(used.getAttribute('aria-label') ?? used.textContent).trim().slice(0, 40)}”`)
    }
  }
  for (const toast of document.querySelectorAll('.toast')) {
    const t = toast.getBoundingClientRect()
    const text = toast.querySelector('p').getBoundingClientRect()
    if (text.width < 120 && text.height > 50) found.push(`a toast's text has ${Math.round(text.width)} px`)
    for (const button of document.querySelectorAll('.action[data-floats="true"] :is(a, button)')) {
      const b = button.getBoundingClientRect()
      const over = Math.min(b.right, t.right) > Math.max(b.left, t.left) && Math.min(b.bottom, t.bottom) > Math.max(b.top, t.top)
      if (over && getComputedStyle(button.closest('.action')).position === 'fixed') found.push(`a toast lies over “${button.textContent.trim()}”`)
    }
  }
  for (const field of document.querySelectorAll('button, a, label, legend, summary, th')) {
    if (!field.checkVisibility() || field.closest('.hidden-text, .skip, [data-named]')) continue
    const style = getComputedStyle(field)
    if (style.display !== 'inline' && field.scrollWidth > field.clientWidth + 1 && field.clientWidth > 0) {
      found.push(`too narrow by ${field.scrollWidth - field.clientWidth} px: “${field.textContent.trim().slice(0, 60)}”`)
    }
  }
  return [...new Set(found)]
}

/**
 * Says what large text or a small window breaks, beyond what fits says: words that are broken although half of the
 * window would hold them, marks that stay small or lose their shape, and bars that leave no room for the page.
 */
export function grows() {
  const found = []
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !element.closest('.hidden-text, .skip')
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const parent = node.parentElement
    if (!node.data.trim() || parent.closest('noscript, script, style, option, code, .mono, [data-named]') || !seen(parent)) continue
    const range = document.createRange()
    // Words alone: what is part of an address or of a host's name may break anywhere.
    for (const { 0: word, index } of node.data.matchAll(/(?<![^\s(“])\p{L}{2,24}(?![^\s).,:;!?…”’])/gu)) {
      range.setStart(node, index)
      range.setEnd(node, index + word.length)
      const pieces = [...range.getClientRects()].filter(({ width }) => width > 1)
      const lines = new Set(pieces.map(({ top }) => Math.round(top))).size
      if (lines > 1 && pieces.reduce((sum, { width }) => sum + width, 0) < innerWidth / 2) {
        found.push(`broken: “${word}” of “${node.data.trim().slice(0, 60)}”`)
      }
    }
  }
  for (const mark of document.querySelectorAll('svg, input[role=switch]')) {
    if (!seen(mark)) continue
    const { width, height } = mark.getBoundingClientRect()
    const what = `${mark.tagName.toLowerCase()}.${mark.getAttribute('class') ?? ''} in ${mark.parentElement.className}`
    if (mark.matches('svg') ? Math.abs(width - height) > 1 : width < 1.5 * height) found.push(`squeezed: ${what}: ${width} by ${height}`)
    if (height > 0 && height < 0.7 * rem) found.push(`small: ${what}: ${width} by ${height} px`)
  }
  if (!document.querySelector('dialog[open], :popover-open')) {
    let kept = 0
    for (const bar of document.querySelectorAll('header, nav, .action')) {
      const { position } = getComputedStyle(bar)
      const { width, height, top, bottom } = bar.getBoundingClientRect()
      if ((position === 'fixed' || position === 'sticky') && seen(bar) && height < innerHeight && width > 0) kept += Math.max(0, Math.min(bottom, innerHeight) - Math.max(top, 0))
    }
    if (kept > innerHeight / 2) found.push(`what stays takes ${Math.round(kept)} of ${innerHeight} px`)
  }
  return [...new Set(found)]
}
