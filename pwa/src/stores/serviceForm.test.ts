import { describe, expect, it } from 'vitest'
import { sampleService } from '@/testing/samples'
import { badHeaders, changeOf, formOf, newServiceOf, targetsOf } from './serviceForm'

const proxied = sampleService({
  kind: 'proxy', target: '192.168.7.10:80', target6: '[fd00:7::10]:8080', icon: 'folder',
  options: { scheme: 'https', path_prefix: '/app', headers: { 'X-Name': 'a: b' }, server_name: 'nas.lan', require_login: true },
})

describe('the form of a service', () => {
  it('leads back to the service that it was made of', () => {
    const form = formOf(proxied)
    expect(form).toMatchObject({
      address: '192.168.7.10', port: '80', address6: 'fd00:7::10', port6: '8080', headers: 'X-Name: a: b',
      icon: { kind: 'set', name: 'folder' },
    })
    expect(changeOf(form, proxied)).toEqual({})
    expect(newServiceOf(form)).toEqual({
      site: 'home-id', name: 'photos', kind: 'proxy', transport: 'tcp', target: '192.168.7.10:80',
      target6: '[fd00:7::10]:8080', icon: 'folder', options: proxied.options,
    })
  })

  it('tells what was changed and nothing else', () => {
    const form = formOf(proxied)
    expect(changeOf({ ...form, name: 'pictures ' }, proxied)).toEqual({ name: 'pictures' })
    expect(changeOf({ ...form, address6: '' }, proxied)).toEqual({ target6: '' })
    expect(changeOf({ ...form, icon: { kind: 'monogram', name: '' } }, proxied)).toEqual({ icon: '' })
    expect(changeOf({ ...form, login: false }, proxied).options).not.toHaveProperty('require_login')
    const forward = sampleService()
    expect(changeOf({ ...formOf(forward), transport: 'udp' }, forward)).toEqual({ transport: 'udp' })
  })

  it('leaves a picture alone that is there, and says nothing of one that is to be uploaded', () => {
    const pictured = sampleService({ icon: 'uploaded:abcd' })
    const form = formOf(pictured)
    expect(form.icon).toEqual({ kind: 'upload', name: '' })
    expect(changeOf(form, pictured)).toEqual({})
  })

  it('takes the same port for IPv6, and brackets that people type', () => {
    const form = { ...formOf({}), address6: '[fd00::1]', port: '443' }
    expect(targetsOf(form)).toEqual({ target: '', target6: '[fd00::1]:443' })
  })

  it('knows lines that are no headers', () => {
    expect(badHeaders({ ...formOf({}), headers: 'X-A: 1\nnothing\n\n: x' })).toEqual(['nothing', ': x'])
  })

  it('sends what TLS needs only with TLS', () => {
    const form = { ...formOf(proxied), scheme: 'http' as const }
    expect(newServiceOf(form).options).not.toHaveProperty('server_name')
  })
})
