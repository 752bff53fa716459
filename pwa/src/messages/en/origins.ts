import { plural } from '../format'

/** From where sessions may be opened. */
export const origins = {
  label: 'Only from',
  help: 'Countries (ES), providers (AS3352) and networks (198.51.100.0/24). Empty: anywhere.',
  ends: 'Sessions from elsewhere close now.',
  save: 'Save the list',
  kept: 'The list is kept',
  unknown: (word: string) => `“${word}” is no country like ES, no provider like AS3352 and no network like 198.51.100.0/24.`,
  mapped: (word: string) => `“${word}” is an IPv4 network in the form of IPv6. Write it as 198.51.100.0/24.`,
  small: (word: string, bits: number) =>
    `“${word}” is smaller than what a session lets in. Name a network of ${bits} bits or fewer.`,
  many: (most: number) => plural('en', most, { one: 'At most one entry is taken.', other: `At most ${most} entries are taken.` }),
  noCountries:
    'Ownline has no database that knows the countries of addresses. Set policy.geoip_database in web.yaml, or name networks alone.',
  noProviders:
    'Ownline has no database that knows the providers of addresses. Set policy.asn_database in web.yaml, or name networks alone.',
}
