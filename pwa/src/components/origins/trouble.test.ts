import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { en } from '@/messages/en'
import { es } from '@/messages/es'
import { mostOrigins } from '@/stores/origins'
import { sayOriginTrouble } from './trouble'

/** What the server says, as it stands in its source, and what people are told of it. */
const said: [string, RegExp, RegExp][] = [
  [String.raw`"2001:db8::/80" is smaller than what a session lets in: name a network of 64 bits or fewer, as in the site's ipv6_prefix`, /2001:db8::\/80.* 64 bits or fewer/, /2001:db8::\/80.* 64 bits o menos/],
  ['"ESP" is no country like ES, no autonomous system like AS3352 and no network like 198.51.100.0/24', /“ESP” is no country/, /«ESP» no es un país/],
  [String.raw`"a\"b" is no country like ES, no autonomous system like AS3352 and no network like 198.51.100.0/24`, /“a"b” is/, /«a"b» no/],
  ['"::ffff:198.51.100.0/120" is an IPv4 network in the form of IPv6; write it as 198.51.100.0/24', /an IPv4 network in the form of IPv6\. Write/, /una red IPv4 escrita como IPv6/],
  ['has countries, and nobody knows where addresses are: set policy.geoip_database in web.yaml, or name networks alone', /no database that knows the countries .* policy\.geoip_database/, /los países .* policy\.geoip_database/],
  ['has autonomous systems, and nobody knows whose addresses are: set policy.asn_database in web.yaml, or name networks alone', /the providers .* policy\.asn_database/, /los operadores .* policy\.asn_database/],
]

describe('what the server has against a list', () => {
  it.each(said)('is told in words: %s', (message, english, spanish) => {
    expect(sayOriginTrouble(en, message)).toMatch(english)
    expect(sayOriginTrouble(es, message)).toMatch(spanish)
  })

  it('has no other sentences in the source of the server', () => {
    const sources = ['ownline/origins.go', 'web/access/origin.go']
      .map((path) => readFileSync(join(import.meta.dirname, '../../../../internal', path), 'utf8'))
      .join('\n')
    const sentences = [...sources.matchAll(/return "", (?:fmt\.Sprintf\()?"((?:is|are) [^"]+)"|Invalid\(field, "([^"]+)"\)/g)].map(([, one, other]) => one ?? other ?? '')
    expect(sentences.length).toBe(5)
    for (const sentence of sentences) {
      const start = sentence.split('%')[0] ?? ''
      expect(said.some(([message]) => message.includes(start)), sentence).toBe(true)
    }
    expect(sources).toContain(`MostOrigins = ${mostOrigins}`)
  })

  it('is told as it is where there are no words for it', () => {
    expect(sayOriginTrouble(en, 'is too long')).toBe('is too long.')
  })
})
