import { expect, it } from 'vitest'
import { tintOf } from './tint'

it('gives every name one of eight colours, and uses all of them', () => {
  const found = new Set<number>()
  for (let i = 0; i < 200; i++) found.add(tintOf(`service-${i}`))
  expect([...found].toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  expect(tintOf('photos')).toBe(tintOf('photos'))
})
