import { plural } from '../format'

/** Minutes as words. */
export const minutes = (n: number) => plural('es', n, { one: '1 minuto', other: `${n} minutos` })
