import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { describe, expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import ListFrame from './ListFrame.vue'

type Props = InstanceType<typeof ListFrame>['$props']

function frame(props: Pick<Props, 'state' | 'count'> & Partial<Props>) {
  return mount(ListFrame, {
    global: { plugins: [createPinia()] },
    props: { problem: undefined, failed: 'No list.', empty: 'Nothing.', ...props },
    slots: { default: 'the list', skeleton: 'the skeleton' },
  })
}

describe('a list frame', () => {
  it('shows a skeleton while it loads', () => {
    const loading = frame({ state: 'loading', count: 0 })
    expect(loading.text()).toBe('the skeleton')
    expect(loading.attributes('aria-busy')).toBe('true')
  })

  it('says that it is empty', () => {
    expect(frame({ state: 'ready', count: 0 }).text()).toBe('Nothing.')
  })

  it('says what failed, and offers a way out', async () => {
    const failed = frame({ state: 'failed', count: 0, problem: new Problem(0) })
    expect(failed.get('[role=alert]').text()).toContain("No list. Ownline can't be reached")
    await failed.get('button').trigger('click')
    expect(failed.emitted('retry')).toHaveLength(1)
  })

  it('shows the list', () => {
    expect(frame({ state: 'ready', count: 1 }).text()).toBe('the list')
  })
})
