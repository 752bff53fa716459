import { expect, it } from 'vitest'
import { at, noon, sampleSite } from '@/testing/samples'
import { certificateState, inMilliseconds, problemsOf, waiting } from './siteFacts'

it('counts what core has not applied', () => {
  expect(waiting(sampleSite({ applied_revision: 7, wanted_revision: 10 }))).toBe(3)
  expect(waiting(sampleSite({ applied_revision: 10, wanted_revision: 10 }))).toBe(0)
  expect(waiting(sampleSite({ applied_revision: 0, wanted_revision: 10 }))).toBeUndefined()
  expect(waiting(sampleSite())).toBeUndefined()
})

it.each([
  [40, 'good'],
  [1, 'soon'],
  [0, 'over'],
])('judges a certificate that is good for %i days as %s', (days, state) => {
  expect(certificateState(at(days * 86_400_000), noon)).toBe(state)
})

it('lists what is wrong', () => {
  const site = sampleSite({ firewall: 'no table', clock: '', error: 'stale', proxy: { serves: false, root: false, error: 'no certificate' } })
  expect(problemsOf(site).map(({ kind }) => kind)).toEqual(['firewall', 'proxy'])
  expect(problemsOf({ ...site, connected: false }).map(({ kind }) => kind)).toEqual(['link', 'firewall', 'proxy'])
})

it('writes milliseconds', () => {
  expect([0.42, 12.4].map(inMilliseconds)).toEqual(['0.4', '12'])
})
