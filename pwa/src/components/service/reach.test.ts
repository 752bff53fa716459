import { expect, it } from 'vitest'
import { readyLine } from './reach'

it.each([
  ['192.168.7.10:22', 'home.example.org:20022', 'ssh -p 20022 home.example.org'],
  ['[fd00::10]:3389', 'home.example.org:20001', 'mstsc /v:home.example.org:20001'],
  ['192.168.7.10:8080', 'home.example.org:20022', undefined],
  [undefined, 'home.example.org:20022', undefined],
  ['192.168.7.10:22', 'home.example.org', undefined],
])('reaches %s at %s by %s', (target, address, line) => {
  expect(readyLine(target, address)).toBe(line)
})
