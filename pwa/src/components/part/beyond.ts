/** How many characters of a text are too many, as the server counts them: without space around it. */
export function beyond(text: string, most = Infinity): number {
  return Math.max(0, [...text.trim()].length - most)
}
