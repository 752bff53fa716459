/** The first that is found counts: many browsers also say that they are another one. */
const browsers: [RegExp, string][] = [
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS|HeadlessChrome)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
]
const systems: [RegExp, string][] = [
  [/\b(?:iPhone|iPod)\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
]

function found(agent: string, of: [RegExp, string][]): string | undefined {
  return of.find(([mark]) => mark.test(agent))?.[1]
}

/** What a browser says that it is, as people call it. */
export function agentOf(agent = ''): { browser: string | undefined; system: string | undefined } {
  return { browser: found(agent, browsers), system: found(agent, systems) }
}
