import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { describe, expect, it } from 'vitest'
import { nextTick, type Component } from 'vue'
import AreaField from './AreaField.vue'
import DurationChoice from './DurationChoice.vue'
import FilterBar from './FilterBar.vue'
import FilterSelect from './FilterSelect.vue'
import SelectField from './SelectField.vue'
import StepperField from './StepperField.vue'
import TextField from './TextField.vue'

const global = { plugins: [createPinia()] }
const choices = [
  { value: 'a', label: 'Alpha' },
  { value: 'b', label: 'Beta' },
]

describe.each([
  ['a text', TextField as Component, 'input', {}],
  ['an area', AreaField as Component, 'textarea', {}],
  ['a select', SelectField as Component, 'select', { choices }],
])('%s', (_, field, tag, more) => {
  const props = { label: 'Name', modelValue: 'a', help: 'Some help', error: 'Is wrong', ...more }

  it('is tied to its label, help and error', () => {
    const shown = mount(field, { global, props })
    const input = shown.get(tag)
    expect(shown.get('label').attributes('for')).toBe(input.attributes('id'))
    const described = (input.attributes('aria-describedby') ?? '').split(' ')
    const texts = described.map((id) => shown.get(`[id="${id}"]`).text())
    expect(texts).toEqual(['Is wrong', 'Some help'])
    expect(input.attributes('aria-invalid')).toBe('true')
  })

  it('tells what was entered', async () => {
    const shown = mount(field, { global, props: { ...props, error: undefined } })
    await shown.get(tag).setValue('b')
    expect(shown.emitted('update:modelValue')).toEqual([['b']])
    expect(shown.get(tag).attributes('aria-invalid')).toBeUndefined()
  })
})

it.each([
  ['a text', TextField as Component, 'input'],
  ['an area', AreaField as Component, 'textarea'],
])('cuts nothing off %s, and says by how much it is too long', async (_, field, tag) => {
  const shown = mount(field, { global, props: { label: 'Name', most: 4, modelValue: 'four ' } })
  const input = shown.get(tag)
  expect(input.attributes('aria-invalid')).toBeUndefined()
  // As the server counts them: a character may be two for the browser.
  for (const [text, words] of [['fiver', '1 character too many: 4 at most.'], ['pasted 🔑', '4 characters too many: 4 at most.']]) {
    await shown.setProps({ modelValue: text })
    expect(input.attributes('maxlength')).toBeUndefined()
    expect(input.attributes('aria-invalid')).toBe('true')
    expect(shown.get(`[id="${input.attributes('aria-describedby')}"]`).text()).toBe(words)
  }
})

it('keeps a number as it is typed', async () => {
  const shown = mount(TextField, { global, props: { label: 'Port', type: 'number', modelValue: '' } })
  await shown.get('input').setValue('0443')
  expect(shown.emitted('update:modelValue')).toEqual([['0443']])
})

it('shows a password when asked', async () => {
  const props = { label: 'Password', type: 'password', modelValue: 'x' } as const
  const shown = mount(TextField, { global, props })
  expect(shown.get('input').attributes('type')).toBe('password')
  await shown.get('button').trigger('click')
  expect(shown.get('input').attributes('type')).toBe('text')
})

it('filters by nothing or by one', async () => {
  const shown = mount(FilterSelect, { global, props: { label: 'Service', choices, modelValue: '' } })
  const options = shown.findAll('option').map((option) => option.text())
  expect(options).toEqual(['Service: any', 'Alpha', 'Beta'])
  await shown.get('select').setValue('b')
  expect(shown.emitted('update:modelValue')).toEqual([['b']])
})

it('offers to clear filters once one is set', async () => {
  const bar = mount(FilterBar, { global, props: { set: false } })
  expect(bar.find('button').exists()).toBe(false)
  await bar.setProps({ set: true })
  await bar.get('button').trigger('click')
  expect(bar.emitted('clear')).toHaveLength(1)
})

describe('a stepper', () => {
  async function stepped(from: number, button: 'Less' | 'More') {
    const props = { label: 'Time', min: 15, max: 60, step: 15, words: String, modelValue: from }
    const shown = mount(StepperField, { global, props })
    await shown.get(`[aria-label=${button}]`).trigger('click')
    return shown.emitted('update:modelValue')?.[0]?.[0]
  }

  it('goes to the next whole step, and no further than the ends', async () => {
    expect(await stepped(30, 'More')).toBe(45)
    expect(await stepped(32, 'More')).toBe(45)
    expect(await stepped(32, 'Less')).toBe(30)
    expect(await stepped(50, 'More')).toBe(60)
    expect(await stepped(60, 'More')).toBeUndefined()
    expect(await stepped(15, 'Less')).toBeUndefined()
  })
})

describe('a choice of how long', () => {
  const props = { legend: 'For how long', modelValue: 1800 }

  it('offers what is allowed', () => {
    const shown = mount(DurationChoice, { global, props: { ...props, max: 3600 } })
    const labels = shown.findAll('label').map((label) => label.text())
    expect(labels).toEqual(['15 min', '30 min', '1 h', 'Other…'])
    expect(shown.text()).toContain('Up to 1 h')
  })

  it('takes a usual length, or another by steps', async () => {
    const shown = mount(DurationChoice, { global, props })
    await shown.findAll('input')[2]?.setValue()
    expect(shown.emitted('update:modelValue')).toEqual([[3600]])
    expect(shown.find('output').exists()).toBe(false)
    await shown.get('input[value=other]').setValue()
    await shown.get('[aria-label=More]').trigger('click')
    expect(shown.emitted('update:modelValue')?.[1]).toEqual([4500])
  })

  it('shows a length that is none of the usual ones', async () => {
    const shown = mount(DurationChoice, { global, props: { ...props, modelValue: 5400 } })
    await nextTick()
    expect(shown.get('output').text()).toBe('1 h 30 min')
  })
})
