import { plural } from '../format'

/** Minutes as words. */
export const minutes = (n: number) => plural('en', n, { one: '1 minute', other: `${n} minutes` })
