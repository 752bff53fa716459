import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '@/api/devices'
import { Problem } from '@/api/problem'
import { at, noon, sampleDevice } from '@/testing/samples'
import { useDevices } from './devices'
import { useNotices } from './notices'

vi.mock('@/api/devices')
const phone = sampleDevice()

beforeEach(() => {
  setActivePinia(createPinia())
  vi.mocked(api.listDevices).mockResolvedValue([phone])
})

describe('devices', () => {
  it('say how they stand', () => {
    const { standing, quietDays } = useDevices()
    const quiet = sampleDevice({ last_knock: at(-40 * 86_400_000) })
    expect(standing(phone, noon)).toBe('never')
    expect(standing(quiet, noon)).toBe('quiet')
    expect(quietDays(quiet, noon)).toBe(40)
    expect(standing({ ...quiet, revoked: true }, noon)).toBe('revoked')
    expect(standing(sampleDevice({ last_knock: at(-86_400_000) }), noon)).toBe('fine')
  })

  it('keep no secret of what was made', async () => {
    const devices = useDevices()
    const made = { ...phone, id: 'new', profile: 'ownline://secret', qr: '<svg/>' }
    vi.mocked(api.addDevice).mockResolvedValue(made)
    expect(await devices.add({ name: 'phone', site: 'home-id' })).toEqual(made)
    expect(JSON.stringify(devices.all)).not.toContain('secret')
    expect(devices.get('new')?.name).toBe('phone')
  })

  it('are renamed at once, and called as before when that is refused', async () => {
    const devices = useDevices()
    await devices.load()
    vi.mocked(api.changeDevice).mockRejectedValue(new Problem(422, 'name: is taken'))
    const change = devices.change(phone, { name: 'telephone' })
    expect(devices.get(phone.id)?.name).toBe('telephone')
    expect(await change).toBe(false)
    expect(devices.get(phone.id)?.name).toBe('phone')
    expect(useNotices().shown[0]?.text).toContain('is taken')
  })

  it('stand with the last knock first, the revoked at the end', async () => {
    vi.mocked(api.listDevices).mockResolvedValue([
      sampleDevice({ id: 'gone', revoked: true, last_knock: at(0) }),
      sampleDevice({ id: 'old', last_knock: at(-9000) }),
      sampleDevice({ id: 'new', last_knock: at(-1000) }),
    ])
    const devices = useDevices()
    await devices.load()
    expect(devices.sorted.map(({ id }) => id)).toEqual(['new', 'old', 'gone'])
  })
})
