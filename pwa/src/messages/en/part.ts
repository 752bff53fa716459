import { plural } from '../format'

/** Words of the controls that every page is made of. */
export const part = {
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  back: 'Back',
  more: 'More',
  moreOf: (name: string) => `More of ${name}`,
  copy: 'Copy',
  copyNamed: (label: string) => `Copy: ${label}`,
  copied: 'Copied',
  notCopied: 'Copying was refused. Mark the text and copy it by hand.',
  typeName: (name: string) => `Type “${name}” to go on`,
  clearFilters: 'Clear filters',
  filters: 'Filters',
  any: (label: string) => `${label}: any`,
  nothing: 'Nothing matches.',
  showMore: 'Show more',
  qr: 'QR code',
  timeLeft: (time: string) => `${time} left`,
  less: 'Less',
  hours: 'Hours',
  minutes: 'Minutes',
  other: 'Other…',
  upTo: (length: string) => `Up to ${length}`,
  atMost: (length: string) => `At most ${length} for you.`,
  asOf: (time: string) => `As of ${time}`,
  saved: 'Saved',
  lookAgain: 'Look at these again:',
  tooLong: (most: number, over: number) =>
    plural('en', over, { one: `1 character too many: ${most} at most.`, other: `${over} characters too many: ${most} at most.` }),
}
