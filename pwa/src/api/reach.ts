import { me } from './auth'
import { asProblem } from './problem'

/** Who Ownline says that we are, as soon as it can be reached. */
export type Reached = 'in' | 'out'

const patience = 5000

async function ask(signal: AbortSignal): Promise<Reached | undefined> {
  try {
    await me(AbortSignal.any([signal, AbortSignal.timeout(patience)]))
    return 'in'
  } catch (error) {
    return asProblem(error).status === 401 ? 'out' : undefined
  }
}

/**
 * Asks once a second whether Ownline can be reached now, for so many milliseconds. Asks overlap: to
 * a router that does not answer, each of them only runs out of time.
 */
export function reach(signal: AbortSignal, within: number): Promise<Reached | undefined> {
  const over = new AbortController()
  return new Promise((resolve) => {
    const end = (found: Reached | undefined): void => {
      clearInterval(timer)
      clearTimeout(last)
      over.abort()
      resolve(found)
    }
    const once = async (): Promise<void> => {
      const found = await ask(over.signal)
      if (found) end(found)
    }
    const timer = setInterval(() => void once(), 1000)
    const last = setTimeout(() => end(undefined), within)
    signal.addEventListener('abort', () => end(undefined), { once: true })
    void once()
  })
}
