import { mount, RouterLinkStub } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { describe, expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { at, noon, sampleSession } from '@/testing/samples'
import RecentList from './RecentList.vue'

function list(props: Partial<InstanceType<typeof RecentList>['$props']> = {}) {
  return mount(RecentList, {
    global: { plugins: [createPinia()], stubs: { RouterLink: RouterLinkStub } },
    props: { sessions: [], state: 'ready', problem: undefined, now: noon, ...props },
  })
}

describe('the recent sessions', () => {
  it('say what ended, why and when, and lead to its sheet', () => {
    const session = sampleSession({ state: 'ended', reason: 'expired', ended: at(-300_000) })
    const shown = list({ sessions: [session] })
    const row = shown.get('li').text()
    for (const part of ['photos', 'Time was up', '5 minutes ago']) expect(row).toContain(part)
    const to = shown.findAllComponents(RouterLinkStub).map((link) => link.props('to'))
    expect(to).toEqual(['/history', '/sessions/session-id'])
  })

  it('are nothing yet', () => {
    expect(list().text()).toContain('Nothing yet.')
  })

  it('say that they could not be fetched, and try again', async () => {
    const shown = list({ state: 'failed', problem: new Problem(500) })
    expect(shown.text()).toContain("What ended can't be shown.")
    await shown.get('button').trigger('click')
    expect(shown.emitted('retry')).toHaveLength(1)
  })
})
