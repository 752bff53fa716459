import { plural } from '../format'

/** From where sessions may be opened. */
export const origins = {
  label: 'Only from',
  help: 'Countries (ES), providers (AS3352) and networks (198.51.100.0/24). Empty: anywhere.',
  ends: 'Sessions from elsewhere close now.',
  save: 'Save the list',
  kept: 'The list is kept',
  many: (most: number) => plural('en', most, { one: 'At most one entry is taken.', other: `At most ${most} entries are taken.` }),
}
