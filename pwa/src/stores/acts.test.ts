import { describe, expect, it } from 'vitest'
import { at, sampleSession } from '@/testing/samples'
import { actsOf, partsOf } from './acts'

type Change = Parameters<typeof sampleSession>[0]

const byDevice = { device: 'phone-id', device_name: 'phone' }
const four = (change: Change = {}) => sampleSession({ id: 'four', ...byDevice, ...change })
const six = (change: Change = {}) =>
  sampleSession({ id: 'six', ...byDevice, source: '2001:db8:7:1::/64', opened: at(-599_000), expires: at(1_201_000), ...change })
const idsOf = (...sessions: ReturnType<typeof four>[]) =>
  actsOf(sessions).map((act) => partsOf(act).map(({ id }) => id))

describe('the two sessions of a knock', () => {
  it('are one, by the id of the first, with the earlier end and the traffic of both', () => {
    const traffic = { up_bytes: 1, up_packets: 2, down_bytes: 3, down_packets: 4 }
    const parts = [four({ traffic }), six({ expires: at(1_199_000), traffic: { ...traffic, down_bytes: 40 } })] as const
    const sum = { up_bytes: 2, up_packets: 4, down_bytes: 43, down_packets: 8 }
    const one = { ...parts[0], expires: at(1_199_000), traffic: sum, parts }
    expect(actsOf([...parts])).toEqual([one])
    expect(actsOf([...parts].toReversed())).toEqual([one])
    expect(actsOf([four(), six()])[0]?.expires).toBe(at(1_200_000))
  })

  it('are open as soon as one of them is', () => {
    expect(actsOf([four({ state: 'opening' }), six()])[0]?.state).toBe('active')
    expect(actsOf([four(), six({ state: 'opening' })])[0]?.state).toBe('active')
    expect(actsOf([four({ state: 'opening' }), six({ state: 'opening' })])[0]?.state).toBe('opening')
  })

  it('stay one when a later knock opened one anew and renewed the other', () => {
    expect(idsOf(four({ opened: at(-1000) }), six())).toEqual([['four', 'six']])
  })

  it('stay one when one of them was extended alone', () => {
    expect(idsOf(four(), six({ expires: at(3_600_000) }))).toEqual([['four', 'six']])
  })

  it('leave out the address that the device has left', () => {
    const left = four({ id: 'left', expires: at(50_000) })
    const now = four({ opened: at(-1000) })
    for (const sessions of [[left, now, six()], [six(), now, left]]) {
      expect(idsOf(...sessions)).toEqual([['four', 'six'], ['left']])
    }
    const left6 = six({ id: 'left6', expires: at(50_000) })
    const now6 = six({ opened: at(-1000) })
    for (const sessions of [[left6, now6, four()], [four(), now6, left6]]) {
      expect(idsOf(...sessions)).toEqual([['four', 'six'], ['left6']])
    }
  })
})

describe('sessions of more than one act', () => {
  const apart = { opened: at(-560_000), expires: at(1_300_000) }

  it.each<[string, Change, Change]>([
    ['of two persons', {}, { user: 'marc-id' }],
    ['of two devices', {}, { device: 'laptop-id' }],
    ['of two services', {}, { service: 'wiki-id' }],
    ['on two ports', {}, { public_port: 20_444 }],
    ['of two protocols', {}, { transport: 'udp' }],
    ['of one family', {}, { source: '198.51.100.7/32' }],
    ['opened at two times', {}, apart],
    ['that ended for two reasons', { state: 'ended', reason: 'expired' }, { state: 'ended', reason: 'closed' }],
  ])('%s are themselves', (_, first, second) => {
    expect(idsOf(four(first), six(second)).toSorted()).toEqual([['four'], ['six']])
  })

  it('by hand are themselves, beside those of a knock too', () => {
    const { device: _, ...byHand } = four({ id: 'hand' })
    const { device: __, ...byHand6 } = six({ id: 'hand6' })
    expect(idsOf(byHand, byHand6)).toEqual([['hand'], ['hand6']])
    expect(idsOf(byHand, six())).toEqual([['hand'], ['six']])
  })

  it('are each of two', () => {
    const later = { opened: at(-100_000), expires: at(1_700_000) }
    const sessions = [four(), four({ id: 'four2', ...later }), six({ id: 'six2', ...later }), six()]
    expect(idsOf(...sessions).toSorted()).toEqual([['four', 'six'], ['four2', 'six2']])
  })
})
