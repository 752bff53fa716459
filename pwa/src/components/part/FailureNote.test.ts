import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Problem } from '@/api/problem'
import { useLanguage } from '@/messages'
import { useNotices } from '@/stores/notices'
import FailureNote from './FailureNote.vue'

const writeText = vi.fn<(text: string) => Promise<void>>()

beforeEach(() => {
  setActivePinia(createPinia())
  writeText.mockReset().mockResolvedValue()
  vi.stubGlobal('navigator', { ...navigator, onLine: true, clipboard: { writeText } })
})

function answered(status: number, request = ''): Problem {
  const headers = { 'X-Request-Id': request }
  return Problem.from(new Response(undefined, { status, headers }), { type: 'about:blank', errors: status === 422 ? [{ message: 'is taken' }] : [] })
}

const details = /^\d{4}-\d\d-\d\dT[\d:.]+Z\nABCDEFGH\nabout:blank\n500$/

describe('what nobody foresaw', () => {
  it('comes with details to copy, where it is said', async () => {
    const shown = mount(FailureNote, { props: { why: answered(500, 'ABCDEFGH') } })
    expect(shown.get('[role=alert]').text()).toContain("That didn't work. Nothing was changed.")
    await shown.get('button').trigger('click')
    expect(writeText).toHaveBeenCalledWith(expect.stringMatching(details))
  })

  it('comes with them in a toast, which says so when they are copied, or shows them', async () => {
    const notices = useNotices()
    writeText.mockRejectedValueOnce(new Error('not allowed'))
    notices.fail(answered(500, 'ABCDEFGH'), useLanguage().t.problem.notOpened('photos', 'Why.'))
    expect(notices.shown[0]?.text).toBe('photos was not opened. Why.')
    const copy = notices.shown[0]?.actions[0]
    expect(copy?.label).toBe('Copy details')
    copy?.run?.()
    await flushPromises()
    expect(notices.shown.at(-1)?.text).toMatch(details)
    copy?.run?.()
    await flushPromises()
    expect(notices.shown.at(-1)?.text).toBe('Copied')
  })
})

it('comes with its own details, also when something else has failed since', async () => {
  const shown = mount(FailureNote, { props: { why: answered(500, 'ABCDEFGH') } })
  useNotices().fail(answered(500, 'ZZZZZZZZ'))
  mount(FailureNote, { props: { why: answered(500, 'YYYYYYYY') } })
  await shown.setProps({ text: 'Nobody foresaw it.' })
  expect(shown.get('[role=alert]').text()).toContain('Nobody foresaw it.')
  await shown.get('button').trigger('click')
  useNotices().shown[0]?.actions[0]?.run?.()
  expect(writeText.mock.calls.map(([text]) => text.split('\n')[1])).toEqual(['ABCDEFGH', 'ZZZZZZZZ'])
})

it('comes with nothing to copy where the words say what to do', () => {
  for (const why of [answered(422), useLanguage().t.settings.lastWay, useLanguage().t.problem.unknown]) {
    expect(mount(FailureNote, { props: { why } }).find('button').exists()).toBe(false)
    useNotices().fail(why)
    expect(useNotices().shown.at(-1)?.actions).toEqual([])
  }
})
