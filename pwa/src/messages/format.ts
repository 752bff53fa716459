const second = 1000
const minute = 60 * second
const hour = 60 * minute

const two = (n: number) => String(n).padStart(2, '0')

/** Time left as "19:59" or "1:04:09"; never below zero. */
export function countdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / second))
  const hours = Math.floor(seconds / 3600)
  const tail = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${tail}` : tail
}

/** Time left in whole minutes, rounded up; never below zero. */
export function minutesLeft(milliseconds: number): number {
  return Math.max(0, Math.ceil(milliseconds / minute))
}

/** A length as "30 min", "4 h" or "1 h 30 min", to the minute; at least one. */
export function length(milliseconds: number): string {
  const total = Math.max(minute, Math.round(milliseconds / minute) * minute)
  const hours = Math.floor(total / hour)
  const minutes = Math.round((total % hour) / minute)
  return [hours && `${hours} h`, minutes && `${minutes} min`].filter(Boolean).join(' ')
}

/** A source as people write it: a single address without its prefix length. */
export function sourceText(source: string): string {
  const whole = source.includes(':') ? '/128' : '/32'
  return source.endsWith(whole) ? source.slice(0, -whole.length) : source
}

/** A choice of words by number, as the language's plural rules say. */
export function plural(locale: string, n: number, words: { one: string; other: string }): string {
  return new Intl.PluralRules(locale).select(n) === 'one' ? words.one : words.other
}

/** "a, b and c" in the language's manner. */
export function listOf(locale: string, names: string[]): string {
  return new Intl.ListFormat(locale, { type: 'conjunction' }).format(names)
}

/** How long ago something was, as "3 minutes ago" or "yesterday". */
export function ago(locale: string, then: number, now: number): string {
  const words = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const passed = Math.max(0, now - then)
  if (passed < hour) return words.format(-Math.floor(passed / minute), 'minute')
  if (passed < 24 * hour) return words.format(-Math.floor(passed / hour), 'hour')
  return words.format(-Math.floor(passed / (24 * hour)), 'day')
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']

/** An amount as "3.1 MB". */
export function bytes(locale: string, n: number): string {
  const step = Math.min(units.length - 1, n < 1000 ? 0 : Math.floor(Math.log10(n) / 3))
  const value = n / 1000 ** step
  // The short name of a byte is the long one, and the narrow one leaves no space.
  if (step === 0) return `${new Intl.NumberFormat(locale).format(n)} B`
  return new Intl.NumberFormat(locale, {
    style: 'unit',
    unit: units[step] ?? 'byte',
    unitDisplay: 'short',
    maximumFractionDigits: value < 10 ? 1 : 0,
  }).format(value)
}

/** The seconds of a duration as the API writes it: "1h30m", "900s". Undefined if it is none. */
export function secondsOf(duration: string | undefined): number | undefined {
  const found = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration ?? '')
  if (!found?.[0]) return undefined
  const [hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0))
  return (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0)
}
