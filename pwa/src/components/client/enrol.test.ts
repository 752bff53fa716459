import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { barred } from '@/api/policy'
import { useDevice } from '@/stores/device'
import EnrolPanel from './EnrolPanel.vue'
import ProtectPanel from './ProtectPanel.vue'

vi.mock('@/api/policy')
vi.mock('@/device/shelf')

const id = '0192f0c0-de00-7000-8000-000000000001'
const code = `ownline://evil.example:54754/?v=1&site=${id}&device=${id}&key=${'A'.repeat(43)}&name=evil&mqtt=wss%3A%2F%2Fb.evil.example`

beforeEach(() => void setActivePinia(createPinia()))

async function take(text: string) {
  const panel = mount(EnrolPanel)
  await panel.get('textarea').setValue(text)
  await panel.get('form').trigger('submit')
  await flushPromises()
  return panel
}

describe('a code', () => {
  it('of another Ownline is not taken, and says whose it is', async () => {
    vi.mocked(barred).mockResolvedValue(true)
    const panel = await take(code)
    expect(barred).toHaveBeenCalledWith('wss://b.evil.example')
    expect(panel.text()).toContain('This code is of another Ownline, evil.example. Add it in the app of that one.')
    expect(useDevice().offered).toBeUndefined()
  })

  it('of this one is offered', async () => {
    vi.mocked(barred).mockResolvedValue(false)
    await take(code)
    expect(useDevice().state).toBe('offered')
  })

  it('that is cut off is called damaged, not of another version', async () => {
    expect((await take('ownline://evil')).text()).toContain('This code is damaged or cut off.')
  })
})

describe('a passphrase', () => {
  it.each(['too short', ' '.repeat(10), `   short   `])('“%s” does not do', async (weak) => {
    const protect = vi.spyOn(useDevice(), 'protect').mockResolvedValue()
    const panel = mount(ProtectPanel)
    await panel.get('input').setValue(weak)
    await panel.get('form').trigger('submit')
    expect(panel.text()).toContain('Use at least 10 characters.')
    expect(protect).not.toHaveBeenCalled()
  })
})
