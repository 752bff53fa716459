import { afterEach, expect, it, vi } from 'vitest'
import { canScan, scan } from './scan'

afterEach(() => vi.unstubAllGlobals())

function camera(seen: string[]) {
  const track = { stop: vi.fn<() => void>() }
  const video = { play: async () => {}, srcObject: null } as unknown as HTMLVideoElement
  vi.stubGlobal('BarcodeDetector', class {
    async detect() {
      const rawValue = seen.shift()
      return rawValue ? [{ rawValue }] : []
    }
  })
  vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: async () => ({ getTracks: () => [track] }) } })
  return { track, video }
}

it('looks until there is a code, and lets go of the camera', async () => {
  const { track, video } = camera(['', 'ownline://x'])
  expect(canScan()).toBe(true)
  expect(await scan(video, new AbortController().signal)).toBe('ownline://x')
  expect(track.stop).toHaveBeenCalledOnce()
  expect(video.srcObject).toBeNull()
})

it('lets go of the camera when it is stopped', async () => {
  const { track, video } = camera([])
  const over = new AbortController()
  const looking = scan(video, over.signal)
  over.abort()
  expect(await looking).toBeUndefined()
  expect(track.stop).toHaveBeenCalledOnce()
})

it('is not there where the browser reads no codes', () => {
  expect(canScan()).toBe(false)
})
