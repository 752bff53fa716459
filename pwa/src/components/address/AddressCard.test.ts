import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { expect, it } from 'vitest'
import type { Whoami } from '@/api/whoami'
import AddressCard from './AddressCard.vue'

const card = (here: Partial<Whoami>, inside = false) =>
  mount(AddressCard, {
    global: { plugins: [createPinia()] },
    props: { here: { address: '203.0.113.24', family: 4, forwarded: false, kind: 'public', ...here }, state: 'ready', inside },
  }).text()

it.each([
  [{ source: '203.0.113.24/32' }, 'Sessions open for this address alone.'],
  [{ family: 6, source: '2001:db8:7:1::/64' } as const, 'IPv6Sessions open for your network, 2001:db8:7:1::/64.'],
  [{ kind: 'carrier_nat' } as const, 'SharedYour carrier shares this address out to many, so no session can be opened for it.'],
  [{ kind: 'unusable' } as const, 'Not usableNo session can be opened for this address.'],
  [{ forwarded: true }, 'UnsureThe server sees a proxy, not you. Ask your admin to check trusted_proxies.'],
])('says what an address means: %o', (here, words) => {
  expect(card(here)).toBe(`Where you are203.0.113.24${words}`)
})

it('says that services answer without a session in the LAN', () => {
  expect(card({ kind: 'private' }, true)).toContain("In the LANYou're inside.")
})
