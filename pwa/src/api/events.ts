import type { Session } from './sessions'
import type { Site } from './sites'

/** A resource as it is now, or as it was when it was removed. */
export type Change<T> = T & { removed?: boolean }

/** What the event stream tells. reset: something may have been missed, fetch everything again. */
export interface EventHandlers {
  session: (session: Change<Session>) => void
  site: (site: Change<Site>) => void
  service: () => void
  grant: () => void
  reset: () => void
  /** The stream is there. */
  opened: () => void
  /** The stream is cut. final: the browser will not try again by itself. */
  cut: (final: boolean) => void
}

/** Listens to the server's events until the returned function is called. */
export function listen(handlers: EventHandlers): () => void {
  const source = new EventSource('/api/v1/events')
  const on = <T>(kind: string, handle: (value: T) => void) => {
    source.addEventListener(kind, (event: MessageEvent<string>) => handle(JSON.parse(event.data)))
  }
  on('session', handlers.session)
  on('site', handlers.site)
  source.addEventListener('service', () => handlers.service())
  source.addEventListener('grant', () => handlers.grant())
  source.addEventListener('reset', () => handlers.reset())
  source.addEventListener('open', () => handlers.opened())
  source.addEventListener('error', () => handlers.cut(source.readyState === EventSource.CLOSED))
  return () => source.close()
}
