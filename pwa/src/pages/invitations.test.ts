import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import * as api from '@/api/invitations'
import { Problem } from '@/api/problem'
import { useAccount } from '@/stores/account'
import { useInvitations } from '@/stores/invitations'
import { useServices } from '@/stores/services'
import { noon, sampleInvitation, sampleMe, sampleService, sampleSession } from '@/testing/samples'
import InvitationsPage from './InvitationsPage.vue'
import InvitationSheet from './InvitationSheet.vue'
import InviteSheet from './InviteSheet.vue'

vi.mock('@/api/invitations')
vi.mock('@/api/sessions')

async function at(path: string) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      {
        path: '/invitations',
        component: InvitationsPage,
        children: [
          { path: 'new', component: InviteSheet },
          { path: ':id', component: InvitationSheet },
        ],
      },
    ],
  })
  await router.push(path)
  const page = mount(InvitationsPage, { global: { plugins: [router] }, attachTo: document.body })
  await flushPromises()
  return page
}

const press = (page: Awaited<ReturnType<typeof at>>, name: string) =>
  page.findAll('button').find((one) => one.text() === name)?.trigger('click')

beforeEach(() => {
  document.body.replaceChildren()
  vi.useFakeTimers({ now: noon, toFake: ['Date'] })
  const pinia = createPinia()
  setActivePinia(pinia)
  useAccount().me = sampleMe()
  useServices().put(sampleService())
  vi.mocked(api.listInvitations).mockResolvedValue([sampleInvitation()])
  vi.mocked(api.guestSessions).mockResolvedValue([])
})

describe('invitations', () => {
  it('say how often they were used, and which are over', async () => {
    vi.mocked(api.listInvitations).mockResolvedValue([
      sampleInvitation({ id: 'old', service_name: 'files', expires: new Date(noon - 1).toISOString() }),
      sampleInvitation(),
    ])
    const page = await at('/invitations')
    expect(page.text()).toContain('1 of 3 uses')
    expect(page.text()).toContain('Expired')
    expect(page.text()).not.toContain("Everyone's")
  })

  it('show the picture of their service', async () => {
    vi.spyOn(window, 'matchMedia').mockReturnValueOnce(Object.assign(new EventTarget(), { matches: false }) as MediaQueryList)
    useServices().put(sampleService({ icon: 'uploaded:abc' }))
    const page = await at('/invitations/invitation-id')
    const pictures = page.findAll('img').map((one) => one.attributes('src'))
    expect(pictures).toEqual(Array.from({ length: 2 }, () => '/api/v1/services/photos-id/icon?v=abc'))
  })

  it('say that there are none, and what failed', async () => {
    vi.mocked(api.listInvitations).mockResolvedValue([])
    expect((await at('/invitations')).text()).toContain('they need no account')
    useInvitations().clear()
    vi.mocked(api.listInvitations).mockRejectedValue(new Problem(500))
    const failed = await at('/invitations')
    expect(failed.get('[role=alert]').text()).toContain("can't be shown")
  })

  it('are made, and show their link once', async () => {
    const link = 'https://own.example.org/i/#secret'
    vi.mocked(api.invite).mockResolvedValue({ ...sampleInvitation({ id: 'new' }), link })
    const page = await at('/invitations/new')
    await page.get('textarea').setValue('  Hello  ')
    await press(page, 'Create invitation')
    await flushPromises()
    expect(api.invite).toHaveBeenCalledWith({
      service: 'photos-id', seconds: 3600, validFor: 86_400, uses: 1, message: 'Hello',
    })
    expect(page.text()).toContain(link)
    // What draws it is fetched first.
    const drawn = () => expect(page.get('svg.qr').attributes('aria-label')).toBe('QR code of the link')
    await vi.waitFor(drawn, 20_000)
    expect(useInvitations().get('new')).toBeDefined()
    expect(JSON.stringify(useInvitations().all)).not.toContain('secret')
  })

  it('end with the day that was chosen, and not before today', async () => {
    vi.mocked(api.invite).mockResolvedValue({ ...sampleInvitation(), link: 'https://x/i/#s' })
    const page = await at('/invitations/new')
    await page.get('input[value=date]').setValue(true)
    await page.get('input[type=date]').setValue('2030-05-01')
    await press(page, 'Create invitation')
    await flushPromises()
    expect(api.invite).not.toHaveBeenCalled()
    expect(page.text()).toContain('Choose a day that is not over.')
    await page.get('input[type=date]').setValue('2030-05-04')
    await press(page, 'Create invitation')
    await flushPromises()
    const end = Math.floor((new Date('2030-05-04T23:59:59').getTime() - noon) / 1000)
    expect(vi.mocked(api.invite).mock.calls[0]?.[0].validFor).toBe(end)
  })

  it('say at the field what the server refused', async () => {
    const refusal = new Problem(422, 'message: is too long', [{ field: 'message', message: 'is too long' }])
    vi.mocked(api.invite).mockRejectedValue(refusal)
    const page = await at('/invitations/new')
    await press(page, 'Create invitation')
    await flushPromises()
    expect(page.get('textarea').attributes('aria-invalid')).toBe('true')
    expect(page.text()).toContain('is too long')
  })

  it('are withdrawn only after a question', async () => {
    vi.mocked(api.guestSessions).mockResolvedValue([sampleSession({ guest: true, invitation: 'invitation-id' })])
    vi.mocked(api.revokeInvitation).mockResolvedValue(sampleInvitation({ state: 'revoked' }))
    const page = await at('/invitations/invitation-id')
    expect(page.text()).toContain('from 203.0.113.24')
    await press(page, 'Revoke')
    expect(api.revokeInvitation).not.toHaveBeenCalled()
    expect(page.text()).toContain('Sessions it opened are closed too.')
    await page.get('button[data-variant=danger]').trigger('click')
    await flushPromises()
    expect(api.revokeInvitation).toHaveBeenCalledWith('invitation-id')
    expect(page.text()).toContain('Withdrawn')
  })
})
