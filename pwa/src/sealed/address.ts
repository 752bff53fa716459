import type { Bytes } from './bytes'

function groups(half: string | undefined): string[] {
  return half === undefined || half === '' ? [] : half.split(':')
}

/** The 16 bytes of an address, IPv4 as ::ffff:a.b.c.d; undefined when it is none. */
export function addressBytes(text: string): Bytes | undefined {
  const out = new Uint8Array(16)
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (four) {
    const parts = four.slice(1).map(Number)
    if (parts.some((n) => n > 255)) return undefined
    out.set([0xff, 0xff, ...parts], 10)
    return out
  }
  if (!/^[0-9a-fA-F:]{2,39}$/.test(text)) return undefined
  const halves = text.split('::')
  const head = groups(halves[0])
  const tail = groups(halves[1])
  const count = head.length + tail.length
  if (halves.length > 2 || (halves.length === 1 ? count !== 8 : count > 7)) return undefined
  const all = [...head, ...Array<string>(8 - count).fill('0'), ...tail]
  if (all.some((g) => !/^[0-9a-fA-F]{1,4}$/.test(g))) return undefined
  const view = new DataView(out.buffer)
  all.forEach((g, i) => view.setUint16(2 * i, parseInt(g, 16)))
  return out
}

/** Writes 16 bytes as RFC 5952 has it, IPv4 with dots. */
export function addressText(bytes: Bytes): string {
  const mapped = bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  if (mapped) return bytes.subarray(12).join('.')
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  const text = Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i).toString(16)).join(':')
  const zeros = [...text.matchAll(/\b0(?::0)+\b/g)].map((m) => m[0])
  const longest = zeros.reduce((a, b) => (b.length > a.length ? b : a), '')
  return longest === '' ? text : text.replace(new RegExp(`(^|:)${longest}(:|$)`), '::')
}

/** What inner addresses begin with: so many bits, and their value. */
type Prefix = [bits: number, value: number]
const inner4: Prefix[] = [[8, 0], [8, 10], [8, 127], [12, 0xac1], [16, 0xc0a8], [16, 0xa9fe], [3, 7]]
const inner6: Prefix[] = [[8, 0], [7, 0x7e], [10, 0x3fa], [8, 0xff]]

/** Whether it is one that no router in the internet leads to: of a LAN, of one host or of many. */
export function isInner(bytes: Bytes): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  const is4 = bytes.subarray(0, 10).every((b) => b === 0) && view.getUint16(10) === 0xffff
  const head = view.getUint32(is4 ? 12 : 0)
  return (is4 ? inner4 : inner6).some(([bits, value]) => head >>> (32 - bits) === value)
}

/** 4 or 6. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4
}
