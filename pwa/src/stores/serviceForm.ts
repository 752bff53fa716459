import { isUploaded, type NewService, type ProxyOptions, type Service, type ServiceChange } from '@/api/services'

/** The icon that a service shall have. */
export interface IconWish {
  kind: 'set' | 'upload' | 'monogram'
  /** Of kind set: the built-in one, "" while none is chosen. */
  name: string
  /** Of kind upload: a new picture; none: the one that is there. */
  picture?: Blob | undefined
}

/** A service as it is being filled in: all of it text, as people type it. */
export interface ServiceForm {
  site: string
  name: string
  kind: Service['kind']
  transport: Service['transport']
  address: string
  port: string
  address6: string
  port6: string
  icon: IconWish
  scheme: NonNullable<ProxyOptions['scheme']>
  path: string
  /** "Name: value", one a line. */
  headers: string
  serverName: string
  ca: string
  pin: string
  login: boolean
  template: string
}

/** Splits "192.168.7.10:80" or "[fd00::1]:80". */
function split(target: string | undefined): [address: string, port: string] {
  const found = /^\[?(.*?)\]?:(\d+)$/.exec(target ?? '')
  return [found?.[1] ?? '', found?.[2] ?? '']
}

function join(address: string, port: string, six: boolean): string {
  const bare = address.trim().replace(/^\[(.*)\]$/, '$1')
  if (!bare) return ''
  return six ? `[${bare}]:${port.trim()}` : `${bare}:${port.trim()}`
}

export function formOf(service: Partial<Service>): ServiceForm {
  const options = service.options ?? {}
  const [address, port] = split(service.target)
  const [address6, port6] = split(service.target6)
  const icon = service.icon ?? ''
  return {
    site: service.site ?? '',
    name: service.name ?? '',
    kind: service.kind ?? 'proxy',
    transport: service.transport ?? 'tcp',
    address,
    port: port || port6,
    address6,
    port6: port6 === port ? '' : port6,
    icon: { kind: isUploaded(icon) ? 'upload' : icon ? 'set' : 'monogram', name: isUploaded(icon) ? '' : icon },
    scheme: options.scheme ?? 'http',
    path: options.path_prefix ?? '',
    headers: Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`).join('\n'),
    serverName: options.server_name ?? '',
    ca: options.ca ?? '',
    pin: options.pin ?? '',
    login: options.require_login ?? false,
    template: options.template ?? '',
  }
}

/** What its targets are as the API writes them, "" where there is none. */
export function targetsOf(form: ServiceForm): { target: string; target6: string } {
  return {
    target: join(form.address, form.port, false),
    target6: join(form.address6, form.port6.trim() || form.port, true),
  }
}

/** Whether a port was typed that is none. */
export function isBadPort(port: string): boolean {
  const typed = port.trim()
  return typed !== '' && !(/^\d+$/.test(typed) && Number(typed) >= 1 && Number(typed) <= 65_535)
}

/** The lines that are no headers. */
export function badHeaders(form: ServiceForm): string[] {
  return headerLines(form).filter((line) => !/^[^\s:]+:/.test(line))
}

function headerLines(form: ServiceForm): string[] {
  return form.headers.split('\n').map((line) => line.trim()).filter(Boolean)
}

export function optionsOf(form: ServiceForm): ProxyOptions {
  const headers = Object.fromEntries(
    headerLines(form).map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    }),
  )
  const tls = form.scheme === 'https'
  return {
    ...(form.scheme !== 'http' && { scheme: form.scheme }),
    ...(form.path.trim() && { path_prefix: form.path.trim() }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(tls && form.serverName.trim() && { server_name: form.serverName.trim() }),
    ...(tls && form.ca.trim() && { ca: form.ca }),
    ...(tls && form.pin.trim() && { pin: form.pin.trim() }),
    ...(form.login && { require_login: true }),
    ...(form.template.trim() && { template: form.template }),
  }
}

/** The built-in icon that is wished for, "" for none; undefined: the present one stays. */
function iconName({ kind, name }: IconWish): string | undefined {
  if (kind === 'upload') return undefined
  return kind === 'set' ? name : ''
}

export function newServiceOf(form: ServiceForm): NewService {
  const { target, target6 } = targetsOf(form)
  const icon = iconName(form.icon)
  return {
    site: form.site, name: form.name.trim(), kind: form.kind, transport: form.kind === 'proxy' ? 'tcp' : form.transport,
    ...(target && { target }), ...(target6 && { target6 }), ...(icon && { icon }),
    ...(form.kind === 'proxy' && { options: optionsOf(form) }),
  }
}

/** What is to be changed of a service; nothing that is as it was. */
export function changeOf(form: ServiceForm, was: Service): ServiceChange {
  const { target, target6 } = targetsOf(form)
  const icon = iconName(form.icon)
  const options = optionsOf(form)
  const before = optionsOf(formOf(was))
  return {
    ...(form.name.trim() !== was.name && { name: form.name.trim() }),
    ...(was.kind === 'forward' && form.transport !== was.transport && { transport: form.transport }),
    ...(target !== (was.target ?? '') && { target }),
    ...(target6 !== (was.target6 ?? '') && { target6 }),
    ...(icon !== undefined && icon !== (was.icon ?? '') && { icon }),
    ...(was.kind === 'proxy' && JSON.stringify(options) !== JSON.stringify(before) && { options }),
  }
}
