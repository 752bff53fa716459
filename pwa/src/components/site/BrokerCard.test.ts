import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { expect, it } from 'vitest'
import type { Brokers } from '@/api/broker'
import BrokerCard from './BrokerCard.vue'

function said(brokers?: Brokers): string[] {
  const card = mount(BrokerCard, { global: { plugins: [createPinia()] }, props: { brokers } })
  return card.findAll('li').map((line) => `${line.attributes('data-up')} ${line.text()}`)
}

it('is not there where no broker is', () => {
  expect(said()).toEqual([])
  expect(said({ configured: false, connected: false })).toEqual([])
})

it('tells how the outer broker is reached, and why not', () => {
  expect(said({ configured: true, connected: true })).toEqual(['true The broker is connected.'])
  expect(said({ configured: true, connected: false, error: 'the connection was lost' })).toEqual([
    "false The broker can't be reached: the connection was lost",
  ])
})

it('tells how the embedded broker does', () => {
  const outer = { configured: false, connected: false }
  expect(said({ ...outer, embedded: { serving: true, clients: 1 } })).toEqual(['true The embedded broker serves 1 client.'])
  expect(said({ ...outer, embedded: { serving: true, clients: 0 } })).toEqual(['true The embedded broker serves 0 clients.'])
  expect(said({ configured: true, connected: true, embedded: { serving: false, clients: 0 } })).toEqual([
    'true The broker is connected.',
    'false The embedded broker does not serve.',
  ])
})
