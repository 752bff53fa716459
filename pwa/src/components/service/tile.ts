/**
 * How a service stands for this address. inside: it answers without a session. unusable: no
 * session can be opened for this address. failed: opening it did not work the last time.
 * automatic: closed, and a knock opens it.
 */
export type TileState = 
  | 'closed' | 'opening' | 'open' | 'unreachable' | 'inside' | 'unusable' | 'failed' | 'automatic'
