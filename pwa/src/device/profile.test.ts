import { describe, expect, it } from 'vitest'
import { BadProfile, parseProfile } from './profile'

const site = '0192f0c0-de00-7000-8000-000000000001'
const device = '0192f0c0-de00-7000-8000-000000000002'
const key = `${'-_v7'.repeat(10)}-_s`
const head = `ownline://home.example.org:54754/?v=1&site=${site}&device=${device}&key=${key}&name=Ana%27s+phone+%26+more`
const whole = `${head}&mqtt=wss%3A%2F%2Fbroker.example.org%2Fmqtt&topic=a%2Fb+c&user=phone+%26+co&password=p%26%3D%C3%9F%23&ca=-_8A&address=https%3A%2F%2Fa.example.org%2F&address=stun%3As.example.org%3A3478`

describe('a profile', () => {
  it('is read as ownline writes it', () => {
    const profile = parseProfile(` ${whole}\n`)
    expect(profile).toMatchObject({
      host: 'home.example.org',
      site,
      device,
      name: "Ana's phone & more",
      broker: { url: 'wss://broker.example.org/mqtt', topic: 'a/b c', username: 'phone & co', password: 'p&=ß#' },
      addresses: ['https://a.example.org/', 'stun:s.example.org:3478'],
    })
    expect(profile.key).toHaveLength(32)
  })

  it('has the usual topic and no name where it says nothing', () => {
    expect(parseProfile(`${head}&mqtt=ws%3A%2F%2Fb`).broker).toEqual({ url: 'ws://b', topic: 'ownline/knock' })
  })

  it('has an address of IPv6 for a host', () => {
    expect(parseProfile(whole.replace('home.example.org', '[2001:db8::1]')).host).toBe('[2001:db8::1]')
  })

  it.each([
    ['', 'noProfile'],
    ['https://example.org/', 'noProfile'],
    [`${whole}&x=${'y'.repeat(9000)}`, 'noProfile'],
    [whole.replace('v=1', 'v=2'), 'version'],
    [whole.replace('key=', 'key=A'), 'damaged'],
    [whole.replace(site, 'x'), 'damaged'],
    [whole.replace(`&device=${device}`, ''), 'damaged'],
    ['ownline://', 'damaged'],
    ['ownline://evil', 'damaged'],
    ['ownline://home.example.org:54754/?v=', 'damaged'],
    [head, 'noBroker'],
    [`${head}&mqtt=tls%3A%2F%2Fb%3A8883`, 'noWebSocket'],
    [`${head}&mqtt=wss%3A%2F%2Fu%3Ap%40b`, 'noWebSocket'],
  ])('is refused, case %#', (text, flaw) => {
    expect(() => parseProfile(text)).toThrow(new BadProfile(flaw as 'damaged'))
  })
})
