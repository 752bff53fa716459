const tints = 8

/** The number of the monogram colour for a name: always the same for the same name (FNV-1a). */
export function tintOf(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return ((hash ^ (hash >>> 16)) >>> 0) % tints
}
