import type { components } from './schema'
import type { Service } from './services'
import type { Session } from './sessions'
import { sharedStream } from './sharedStream'
import type { Site } from './sites'

type Schemas = components['schemas']

/** A resource as it is now, or as it was when it was removed. */
export type Change<T> = T & { removed?: boolean }

/** The resources whose changes are told. */
export interface Changes {
  session: Change<Session>
  site: Change<Site>
  service: Change<Service>
  grant: Change<Schemas['Grant']>
  device: Change<Schemas['Device']>
  invitation: Change<Schemas['Invitation']>
  user: Change<Schemas['User']>
  channel: Change<Schemas['Channel']>
  /** Somebody has signed in. */
  login: Schemas['LoginAttempt']
  /** Knocks of a device were refused. */
  refusal: Schemas['Refusal']
}

/** What the event stream tells. reset: something may have been missed, fetch everything again. */
export type EventHandlers = {
  [Kind in keyof Changes]: (change: Changes[Kind]) => void
} & {
  reset: () => void
  /** The sign-in of the stream is no longer good; why, where the account itself is not. */
  ended: (why?: 'disabled' | 'removed') => void
  /** The stream is there. */
  opened: () => void
  /** The stream is cut. final: the browser will not try again by itself. */
  cut: (final: boolean) => void
}

/** Listens to the server's events until the returned function is called. */
export function listen(handlers: EventHandlers): () => void {
  return sharedStream((told) => {
    switch (told.kind) {
      case 'change':
        return (handlers[told.of] as (value: unknown) => void)(told.value)
      case 'cut':
        return handlers.cut(told.final)
      case 'ended':
        return handlers.ended(told.why)
      default:
        return handlers[told.kind]()
    }
  })
}
