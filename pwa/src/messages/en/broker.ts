import { plural } from '../format'

export const broker = {
  title: 'MQTT broker',
  connected: 'The broker is connected.',
  away: (why: string) => `The broker can't be reached: ${why}`,
  serves: (n: number) =>
    `The embedded broker serves ${plural('en', n, { one: '1 client', other: `${n} clients` })}.`,
  rests: 'The embedded broker does not serve.',
}
