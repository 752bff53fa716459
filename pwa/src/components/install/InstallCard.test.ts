import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { useInstall } from '@/stores/install'
import InstallCard from './InstallCard.vue'

const prompt = vi.fn<() => Promise<{ outcome: 'accepted' | 'dismissed' }>>()

beforeEach(() => {
  localStorage.clear()
  setActivePinia(createPinia())
})

/** The card of a browser that offers to install, after so many sessions. */
function card(sessions: number) {
  const install = useInstall()
  install.start()
  window.dispatchEvent(Object.assign(new Event('beforeinstallprompt', { cancelable: true }), { prompt }))
  for (let n = 0; n < sessions; n++) install.sessionOpened()
  return mount(InstallCard)
}

describe('the card that offers to install', () => {
  it('is not there at first sight', () => {
    expect(card(1).find('section').exists()).toBe(false)
  })

  it('has the browser ask, and is gone then', async () => {
    prompt.mockResolvedValue({ outcome: 'accepted' })
    const shown = card(2)
    expect(shown.text()).toContain('Keep Ownline on your home screen.')
    await shown.get('button').trigger('click')
    expect(prompt).toHaveBeenCalledOnce()
    expect(shown.find('section').exists()).toBe(false)
  })

  it('is gone when declined', async () => {
    const shown = card(2)
    await shown.findAll('button').find((one) => one.text() === 'Not now')?.trigger('click')
    expect(shown.find('section').exists()).toBe(false)
    expect(prompt).not.toHaveBeenCalled()
  })
})
