import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '@/api/audit'
import { Problem } from '@/api/problem'
import { en } from '@/messages/en'
import { es } from '@/messages/es'
import { at } from '@/testing/samples'
import { exportAudit, useAudit } from './audit'
import { differenceOf, localTimes, marked, sayAction, sayDetail } from './auditWords'

vi.mock('@/api/audit')
beforeEach(() => setActivePinia(createPinia()))

const line = (id: string, detail = 'x'): api.AuditLine => ({
  id, at: at(0), by: 'login', action: 'user.add', subject: 'ana', detail, actor_name: 'marc',
})

describe('the audit log', () => {
  it('goes on where the page before ended, with the same filter', async () => {
    vi.mocked(api.auditPage)
      .mockResolvedValueOnce({ items: [line('3'), line('2')], next: 'c' })
      .mockResolvedValueOnce({ items: [line('1')], next: undefined })
    const audit = useAudit()
    await audit.load({ action: 'user' })
    expect(audit.hasMore).toBe(true)
    await audit.more()
    expect(vi.mocked(api.auditPage).mock.calls).toEqual([[{ action: 'user' }, 50, undefined], [{ action: 'user' }, 50, 'c']])
    expect(audit.lines.map(({ id }) => id)).toEqual(['3', '2', '1'])
    expect(audit.hasMore).toBe(false)
  })

  it('forgets the answer to an older question', async () => {
    let late: (page: Awaited<ReturnType<typeof api.auditPage>>) => void = () => undefined
    vi.mocked(api.auditPage)
      .mockReturnValueOnce(new Promise((resolve) => (late = resolve)))
      .mockResolvedValueOnce({ items: [line('new')], next: undefined })
    const audit = useAudit()
    const first = audit.load({ action: 'user' })
    await audit.load({ action: 'site' })
    late({ items: [line('old')], next: 'c' })
    await first
    expect(audit.lines.map(({ id }) => id)).toEqual(['new'])
  })

  it('says what failed', async () => {
    vi.mocked(api.auditPage).mockRejectedValue(new Problem(500))
    const audit = useAudit()
    await audit.load({})
    expect(audit.state).toBe('failed')
  })

  it('is exported whole, as a table in which nothing is a formula', async () => {
    vi.mocked(api.auditPage)
      .mockResolvedValueOnce({ items: [line('2', '=1+1')], next: 'c' })
      .mockResolvedValueOnce({ items: [line('1', 'a "b", c')], next: undefined })
    const text = await exportAudit({})
    expect(text.split('\r\n')).toEqual([
      'at,actor_name,by,client,action,subject,site_name,detail',
      `${at(0)},marc,login,,user.add,ana,,'=1+1`,
      `${at(0)},marc,login,,user.add,ana,,"a ""b"", c"`,
      '',
    ])
  })
})

describe('the words of a line', () => {
  it('say what was done, or the name of it', () => {
    expect(sayAction(en, 'grant.add')).toBe('Gave a grant')
    expect(sayAction(en, 'some.thing')).toBe('some.thing')
  })

  it.each([
    ['session.open', 'nas for 203.0.113.24/32, port 20443/tcp to 192.168.7.10:443 until 2030-05-03T12:30:00Z',
      'nas para 203.0.113.24, puerto 20443, hasta X'],
    ['session.renew', 'until 2030-05-03T12:30:00Z', 'hasta X'],
    ['session.end', 'expired', 'Se acabó el tiempo'],
    ['grant.add', 'ana may use nas; automatic true, port 22022, reserved false, at most 1h0m0s',
      'ana puede usar nas · también por llamada · puerto 22022 · Hasta 1 h'],
    ['grant.remove', 'ana may use nas; automatic false, port 0, reserved false, at most 0s, 2 sources of a device', 'ana puede usar nas'],
    ['grant.change', 'ana may use nas; automatic false, port 0, reserved false, at most 0s, 5 sources of a device', 'ana puede usar nas · 5 direcciones a la vez'],
    ['grant.change', 'ana may use nas; automatic false, port 0, reserved false, 2 sources of a device, claimed source required, from ES only', 'ana puede usar nas · con la dirección declarada · solo desde ES'],
    ['knock', 'opened: source: 198.51.100.7 is not named by the knock, as the grant requires', 'abrió · la llamada no nombra 198.51.100.7, como exige el permiso'],
    ['user.add', 'ana as admin', 'ana, de administración'],
    ['user.add', 'ana as user, by the identity provider', 'ana · según el proveedor de identidad'],
    ['user.change', 'ana, renamed from an, now admin, disabled, new password',
      'ana · antes se llamaba an · ahora de administración · ya no puede entrar · contraseña nueva'],
    ['user.change', 'ana, now user: the identity provider says so', 'ana · ya no es de administración · según el proveedor de identidad'],
    ['user.link', 'ana with https://id.example', 'ana · https://id.example'],
    ['service.add', 'nas: proxied http 192.168.7.10:80; require_login off -> on, header X-A set',
      'nas: por el proxy, http 192.168.7.10:80 · pide entrar antes · cabecera X-A: puesto'],
    ['service.add', 'ssh: tcp 192.168.7.10:22', 'ssh: tcp 192.168.7.10:22'],
    ['service.change', 'ownline: not for everybody any more', 'ownline ya no es para todos'],
    ['invitation.add', 'nas, 1 times for 1h0m0s each, until 2030-05-03T12:30:00Z, from ES FR', 'nas, una vez, durante 1 h, hasta X · solo desde ES FR'],
    ['invitation.revoke', 'nas; sessions ended: 2', 'nas · 2 sesiones terminadas'],
    ['invitation.redeem', "use 1 of 2, in the guest's browser", 'uso 1 de 2, en el navegador de la persona invitada'],
    ['knock', 'refused: 198.51.100.7 (FR, AS3215) is refused by the list of the site home',
      'rechazada · la lista de la sede home no admite 198.51.100.7 (FR, AS3215)'],
    ['knock', 'opened: 198.51.100.7 is refused by the list of the grant', 'abrió · la lista del permiso no admite 198.51.100.7'],
    ['grant.add', 'ana may use nas; automatic false, port 0, reserved false, at most 0s, 2 sources of a device, from ES and AS3352 only',
      'ana puede usar nas · solo desde ES, AS3352'],
    ['knock', 'nothing granted', 'no tiene ningún permiso'],
    ['token.add', '"copia", scopes read', 'copia, puede: read'],
    ['auth.guessing', 'many wrong passwords; tries are slowed down', 'Muchas contraseñas equivocadas; cada intento espera más'],
    ['epoch.new', 'core has revision 3, the database 2', 'el core estaba en 3, la base de datos en 2'],
    ['history.restore', '12 sessions', '12 sesiones'],
    ['site.change', 'Home', 'Home'],
    ['site.change', 'Home; allowed_from anywhere -> ES, AS3352', 'Home · desde: cualquier sitio → ES, AS3352'],
    ['device.change', '"x; allowed_from ES -> anywhere"', '"x; allowed_from ES -> anywhere"'],
    ['device.change', 'phone; allowed_from ES -> ES, PT', 'phone · desde: ES → ES, PT'],
    ['grant.change', 'ana may use nas; automatic false, port 0, reserved false, 2 sources of a device, from ES and AS3352 only; allowed_from PT -> ES, AS3352',
      'ana puede usar nas · desde: PT → ES, AS3352'],
    ['grant.change', 'ana may use nas; automatic false, port 0, reserved false, at most 1h0m0s, 2 sources of a device; allowed_from PT -> anywhere',
      'ana puede usar nas · Hasta 1 h · desde: PT → cualquier sitio'],
    ['session.open', 'something else', 'something else'],
  ])('say of %s in the language: %s', (action, detail, words) => {
    expect(sayDetail(es, { action, detail }, () => 'X')).toBe(words)
  })

  it('show a difference with what is new', () => {
    const found = differenceOf(es, { action: 'service.change', detail: 'nas: tcp 192.168.7.10:80 -> nas: tcp 192.168.7.11:80' })
    expect(found).toEqual({ before: 'nas: tcp 192.168.7.10:80', after: 'nas: tcp 192.168.7.11:80' })
    expect(marked('nas: tcp b', 'nas: tcp a')).toEqual([
      { word: 'nas:', changed: false }, { word: 'tcp', changed: false }, { word: 'b', changed: true },
    ])
    expect(differenceOf(es, { action: 'service.change', detail: 'nas' })).toBeUndefined()
    expect(differenceOf(es, { action: 'service.add', detail: 'nas: proxied http 192.168.7.10:80; require_login off -> on' })).toBeUndefined()
    expect(differenceOf(es, {
      action: 'service.change',
      detail: 'nas: proxied http 192.168.7.10:80 -> nas: proxied https 192.168.7.10:443; path_prefix none -> /a; icon changed',
    })).toEqual({
      before: 'nas: por el proxy, http 192.168.7.10:80', after: 'nas: por el proxy, https 192.168.7.10:443 · ruta: /a · imagen: cambiado',
    })
  })

  it('have the times of this place', () => {
    expect(localTimes('until 2026-03-01T12:30:00Z', (date) => String(date.getTime()))).toBe(`until ${Date.parse('2026-03-01T12:30:00Z')}`)
  })
})
