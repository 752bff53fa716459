/** What TypeScript does not know yet of the Shape Detection API. */
interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>
}

type DetectorType = new (options: { formats: string[] }) => Detector

function detectorType(): DetectorType | undefined {
  return (globalThis as { BarcodeDetector?: DetectorType }).BarcodeDetector
}

/** Whether this browser reads QR codes from its camera. */
export function canScan(): boolean {
  return detectorType() !== undefined && navigator.mediaDevices !== undefined
}

const every = 200

/**
 * Looks through the camera until a code is found, and returns its text; undefined when stopped.
 * Throws when the camera can't be used.
 */
export async function scan(video: HTMLVideoElement, signal: AbortSignal): Promise<string | undefined> {
  const Type = detectorType()
  if (!Type) throw new Error('no detector')
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } })
  try {
    video.srcObject = stream
    await video.play()
    const detector = new Type({ formats: ['qr_code'] })
    while (!signal.aborted) {
      const [code] = await detector.detect(video)
      if (code) return code.rawValue
      await new Promise((resolve) => setTimeout(resolve, every))
    }
    return undefined
  } finally {
    for (const track of stream.getTracks()) track.stop()
    video.srcObject = null
  }
}
