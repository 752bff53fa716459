/** What tells a device its public address where Ownline itself can't: services that its profile names. */
import { addressBytes } from '@/sealed/address'

const patience = 8000

type TellDate = (date: number) => void

async function echoed(service: string, tellDate: TellDate, fetcher: typeof fetch): Promise<string | undefined> {
  try {
    const answer = await fetcher(service, {
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(patience),
    })
    const date = Date.parse(answer.headers.get('Date') ?? '') // few services show it to pages
    if (!Number.isNaN(date)) tellDate(date)
    const text = (await answer.text()).trim()
    return answer.ok ? text : undefined
  } catch {
    return undefined // there may be no way there by one of the families
  }
}

/** Asks stun:HOST:PORT (RFC 8489) as calls do. */
function reflected(service: string): Promise<string[]> {
  if (typeof RTCPeerConnection === 'undefined') return Promise.resolve([])
  const found: string[] = []
  const peer = new RTCPeerConnection({ iceServers: [{ urls: service }] })
  return new Promise<string[]>((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      peer.close()
      resolve(found)
    }
    const timer = setTimeout(end, patience)
    peer.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate === null) return end()
      if (candidate.type === 'srflx' && candidate.address) found.push(candidate.address)
    })
    peer.createDataChannel('')
    void peer.setLocalDescription().catch(end)
  })
}

/**
 * Asks all services at once, and keeps the addresses that make sense, in the services' order. Those
 * that say what time it is are listened to.
 */
export async function publicAddresses(
  services: string[],
  tellDate: TellDate = () => {},
  fetcher: typeof fetch = fetch,
): Promise<string[]> {
  const found = await Promise.all(
    services.map(async (service) => (service.startsWith('stun:') ? reflected(service) : [await echoed(service, tellDate, fetcher)])),
  )
  return [...new Set(found.flat().filter((a) => a !== undefined && addressBytes(a) !== undefined))] as string[]
}
