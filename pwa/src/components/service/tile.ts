/**
 * How a service stands for this address. inside: it answers without a session. unusable: no
 * session can be opened for this address.
 */
export type TileState = 'closed' | 'opening' | 'open' | 'unreachable' | 'inside' | 'unusable'
