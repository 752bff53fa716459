import type { Site } from '@/api/sites'

const day = 86_400_000

/** How long before its end a certificate should have been renewed. */
const renewedBefore = 2 * day

/** How far the core of a site is behind: 0 in step, undefined where it has not said. */
export function waiting(site: Site): number | undefined {
  const { applied_revision: applied, wanted_revision: wanted } = site
  if (!applied || wanted === undefined) return undefined
  return Math.max(0, wanted - applied)
}

/** Whether a certificate is good for long, should have been renewed, or is over. */
export function certificateState(expires: string, now: number): 'good' | 'soon' | 'over' {
  const left = Date.parse(expires) - now
  if (left <= 0) return 'over'
  return left < renewedBefore ? 'soon' : 'good'
}

export interface SiteProblem {
  kind: 'link' | 'clock' | 'firewall' | 'proxy'
  why: string
}

/** What is wrong with a site, as its core has told it. */
export function problemsOf(site: Site): SiteProblem[] {
  const all: SiteProblem[] = [
    { kind: 'link', why: site.connected ? '' : (site.error ?? '') },
    { kind: 'clock', why: site.clock ?? '' },
    { kind: 'firewall', why: site.firewall ?? '' },
    { kind: 'proxy', why: site.proxy?.error ?? '' },
  ]
  return all.filter(({ why }) => why !== '')
}

/** Milliseconds as people read them: "12", "0.4". */
export function inMilliseconds(ms: number): string {
  return ms < 1 ? ms.toFixed(1) : String(Math.round(ms))
}
