import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Problem } from '@/api/problem'
import { useLanguage } from '@/messages'
import { sayProblem } from '@/messages/problem'
import { useNotices } from '@/stores/notices'
import FailureNote from './FailureNote.vue'

const writeText = vi.fn<(text: string) => Promise<void>>()

beforeEach(() => {
  setActivePinia(createPinia())
  writeText.mockReset().mockResolvedValue()
  vi.stubGlobal('navigator', { ...navigator, onLine: true, clipboard: { writeText } })
})

/** As a page says it. */
function said(status: number, headers = {}): string {
  const problem = Problem.from(new Response(undefined, { status, headers }), { type: 'about:blank', errors: status === 422 ? [{ message: 'is taken' }] : [] })
  return sayProblem(useLanguage().t, problem)
}

const details = /^\d{4}-\d\d-\d\dT[\d:.]+Z\nABCDEFGH\nabout:blank\n500$/

describe('what nobody foresaw', () => {
  it('comes with details to copy, where it is said', async () => {
    const shown = mount(FailureNote, { props: { text: said(500, { 'X-Request-Id': 'ABCDEFGH' }) } })
    expect(shown.get('[role=alert]').text()).toContain("That didn't work. Nothing was changed.")
    await shown.get('button').trigger('click')
    expect(writeText).toHaveBeenCalledWith(expect.stringMatching(details))
  })

  it('comes with them in a toast, which says so when they are copied, or shows them', async () => {
    const notices = useNotices()
    writeText.mockRejectedValueOnce(new Error('not allowed'))
    notices.fail(useLanguage().t.problem.notOpened('photos', said(500, { 'X-Request-Id': 'ABCDEFGH' })))
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

it('comes with nothing to copy where the words say what to do', () => {
  said(500)
  const text = said(422)
  expect(mount(FailureNote, { props: { text } }).find('button').exists()).toBe(false)
  useNotices().fail(text)
  expect(useNotices().shown[0]?.actions).toEqual([])
})
