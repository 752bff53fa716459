import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { useAccount } from '@/stores/account'
import type { Pair } from '@/stores/everyGrant'
import { sampleGrant, sampleMe, sampleService, sampleUser } from '@/testing/samples'
import GrantMatrix from './GrantMatrix.vue'
import GrantSwitches from './GrantSwitches.vue'
import GrantTerms from './GrantTerms.vue'

beforeEach(() => setActivePinia(createPinia()))
afterEach(() => (document.body.innerHTML = ''))

const users = [sampleUser(), sampleUser({ id: 'bob-id', name: 'bob' })]
const services = [sampleService(), sampleService({ id: 'wiki-id', name: 'wiki' })]
const grant = sampleGrant({ service: 'wiki-id', automatic: true })
const of = ({ user, service }: Pair) => (user === grant.user && service === grant.service ? grant : undefined)

function matrix() {
  // What this browser lacks.
  Element.prototype.scrollIntoView = vi.fn<() => void>()
  HTMLElement.prototype.hidePopover = vi.fn<() => void>()
  const shown = mount(GrantMatrix, { props: { users, services, of }, attachTo: document.body })
  const cell = (name: string) => shown.get<HTMLElement>(`[aria-label="${name}"]`)
  return { shown, cell }
}

describe('the matrix', () => {
  it('says who may use what, and sets a cell', async () => {
    const { shown, cell } = matrix()
    expect(cell('ana may use photos').attributes('aria-pressed')).toBe('false')
    expect(cell('ana may use wiki').text()).toBe('Automatic')
    await cell('ana may use photos').trigger('click')
    await cell('ana may use wiki').trigger('click')
    expect(shown.emitted('set')).toEqual([
      [[{ user: 'ana-id', service: 'photos-id' }], true],
      [[{ user: 'ana-id', service: 'wiki-id' }], false],
    ])
  })

  it('has one cell in the order of Tab, and arrows that choose it', async () => {
    const { shown, cell } = matrix()
    expect(shown.findAll('.may[tabindex="0"]')).toHaveLength(1)
    cell('ana may use photos').element.focus()
    await cell('ana may use photos').trigger('keydown', { key: 'ArrowRight' })
    await cell('ana may use wiki').trigger('keydown', { key: 'ArrowDown' })
    await expect.poll(() => document.activeElement?.getAttribute('aria-label')).toBe('bob may use wiki')
    await cell('bob may use wiki').trigger('keydown', { key: 'ArrowDown' })
    expect(document.activeElement?.getAttribute('aria-label')).toBe('bob may use wiki')
    expect(cell('bob may use wiki').attributes('tabindex')).toBe('0')
    expect(cell('ana may use photos').attributes('tabindex')).toBe('-1')
  })

  it('sets a whole row or column from its head', async () => {
    const { shown } = matrix()
    const pick = async (head: string, item: string) => {
      const menu = shown.findAll('[role=menu]').find((one) => one.attributes('aria-label') === `All of ${head}`)
      await menu?.findAll('[role=menuitem]').find((one) => one.text() === item)?.trigger('click')
    }
    await pick('bob', 'Allow all')
    await pick('wiki', 'Take all away')
    expect(shown.emitted('set')).toEqual([
      [[{ user: 'bob-id', service: 'photos-id' }, { user: 'bob-id', service: 'wiki-id' }], true],
      [[{ user: 'ana-id', service: 'wiki-id' }, { user: 'bob-id', service: 'wiki-id' }], false],
    ])
  })
})

describe('the switches', () => {
  it('are those of one user, in whole sentences', async () => {
    const shown = mount(GrantSwitches, { props: { users, services, of, by: 'user', chosen: 'ana-id' } })
    expect(shown.findAll('li').map((one) => one.get('label').text())).toEqual(['ana may use photos', 'ana may use wiki'])
    const [off, on] = shown.findAll('[role=switch]')
    expect(on?.element).toHaveProperty('checked', true)
    await off?.setValue(true)
    expect(shown.emitted('set')).toEqual([[[{ user: 'ana-id', service: 'photos-id' }], true]])
  })
})

describe('the terms', () => {
  it('are saved as they are made', async () => {
    const shown = mount(GrantTerms, { props: { grant: sampleGrant({ public_port: 20443 }) } })
    await shown.get('[role=switch]').setValue(true)
    await shown.get('select').setValue('3600')
    await shown.get('select').setValue('0')
    expect(shown.emitted('change')).toEqual([[{ automatic: true }], [{ max_duration: '3600s' }], [{ max_duration: undefined }]])
  })

  it('offer no longer duration than the configuration lets any session last', () => {
    useAccount().me = sampleMe()
    const lengths = (change = {}) =>
      mount(GrantTerms, { props: { grant: sampleGrant(change) } }).get('select').findAll('option').map((one) => Number(one.attributes('value')))
    expect(lengths()).toEqual([0, 900, 1800, 3600, 14_400, 28_800])
    expect(lengths({ max_duration: '48h0m0s' }).at(-1)).toBe(172_800)
  })

  it('say how many addresses of a device may be open', async () => {
    const shown = mount(GrantTerms, { props: { grant: sampleGrant({ max_sources: 3 }) } })
    const sources = shown.findAll('select').at(-1)
    expect(sources?.element).toHaveProperty('value', '3')
    expect(sources?.text()).toContain('As usual: 2')
    await sources?.setValue('1')
    await sources?.setValue('0')
    expect(shown.emitted('change')).toEqual([[{ max_sources: 1 }], [{ max_sources: undefined }]])
  })

  it('say whether its knocks have to name where they come from', async () => {
    const shown = mount(GrantTerms, { props: { grant: sampleGrant({ require_claimed_source: true }) } })
    const claimed = shown.findAll('[role=switch]').at(-1)
    expect(shown.findAll('label').some((one) => one.text() === 'Require a claimed source')).toBe(true)
    expect(claimed?.element).toHaveProperty('checked', true)
    await claimed?.setValue(false)
    expect(shown.emitted('change')).toEqual([[{ require_claimed_source: false }]])
  })

  it('take a port when it is whole, and no other', async () => {
    const shown = mount(GrantTerms, { props: { grant: sampleGrant() } })
    const port = shown.get('input[inputmode=numeric]')
    await port.setValue('70000')
    await port.trigger('focusout')
    expect(shown.text()).toContain('Use a number of 1 to 65535, or nothing.')
    expect(shown.emitted('change')).toBeUndefined()
    await port.setValue('20443')
    await port.trigger('keydown', { key: 'Enter' })
    expect(shown.emitted('change')).toEqual([[{ public_port: 20443 }]])
  })
})
