import type { Messages } from '@/messages'

/** What the server says against a list: it has these sentences. */
const troubles: [RegExp, (t: Messages, word: string, bits: string) => string][] = [
  [/^(".*") is no country like/, (t, word) => t.origins.unknown(unquoted(word))],
  [/^(".*") is an IPv4 network in the form of IPv6/, (t, word) => t.origins.mapped(unquoted(word))],
  [/^(".*") is smaller than what a session lets in: .* of (\d+) bits/, (t, word, bits) => t.origins.small(unquoted(word), Number(bits))],
  [/^has countries, .*policy\.geoip_database/, (t) => t.origins.noCountries],
  [/^has autonomous systems, .*policy\.asn_database/, (t) => t.origins.noProviders],
]

function unquoted(word: string): string {
  return word.slice(1, -1).replaceAll(/\\(["\\])/g, '$1')
}

/** What the server has against a list, in the words of the language. */
export function sayOriginTrouble(t: Messages, message: string): string {
  for (const [form, say] of troubles) {
    const found = form.exec(message)
    if (found) return say(t, found[1] ?? '', found[2] ?? '')
  }
  return /[.!?]$/.test(message) ? message : `${message}.`
}
