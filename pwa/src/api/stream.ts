import type { Changes } from './events'

/** What a stream tells, as plain data: one tab passes it on to the others. */
export type Told =
  | { kind: 'change'; of: keyof Changes; value: unknown }
  /** Something may have been missed. */
  | { kind: 'reset' }
  /** The sign-in was ended, here or elsewhere: nothing more will be told. */
  | { kind: 'ended'; why?: 'disabled' | 'removed' }
  | { kind: 'opened' }
  /** final: the browser will not try again by itself. */
  | { kind: 'cut'; final: boolean }

const kinds = Object.keys({
  session: 0, site: 0, service: 0, grant: 0, device: 0, invitation: 0, user: 0, channel: 0, login: 0,
  refusal: 0,
} satisfies Record<keyof Changes, 0>) as (keyof Changes)[]

/** Keeps a stream of the server's events until the returned function is called. */
export function openStream(tell: (told: Told) => void): () => void {
  const source = new EventSource('/api/v1/events')
  for (const of of kinds) {
    source.addEventListener(of, (event: MessageEvent<string>) =>
      tell({ kind: 'change', of, value: JSON.parse(event.data) }),
    )
  }
  source.addEventListener('reset', () => tell({ kind: 'reset' }))
  source.addEventListener('end', (event: MessageEvent<string>) => {
    const { reason } = JSON.parse(event.data) as { reason?: 'disabled' | 'removed' }
    tell({ kind: 'ended', ...(reason && { why: reason }) })
  })
  source.addEventListener('open', () => tell({ kind: 'opened' }))
  source.addEventListener('error', () =>
    tell({ kind: 'cut', final: source.readyState === EventSource.CLOSED }),
  )
  return () => source.close()
}
