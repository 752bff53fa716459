import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Device = components['schemas']['Device']
/** A device with its profile, which is shown this once. */
export type Enrolled = components['schemas']['Enrolled']
export type FwknopClient = NonNullable<Enrolled['fwknop_client']>
export type NewDevice = components['schemas']['NewDevice']
export type DeviceChange = components['schemas']['DeviceChange']

/** One's own devices; everybody's for an admin. */
export function listDevices(): Promise<Device[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/devices', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}

export function showDevice(id: string): Promise<Device> {
  return answer(client.GET('/api/v1/devices/{id}', { params: { path: { id } } }))
}

export function addDevice(body: NewDevice): Promise<Enrolled> {
  return answer(client.POST('/api/v1/devices', { body }))
}

export function changeDevice(id: string, body: DeviceChange): Promise<Device> {
  return answer(client.PATCH('/api/v1/devices/{id}', { params: { path: { id } }, body }))
}

/** Gives it a new secret: the old one counts no more. */
export function rotateDevice(id: string): Promise<Enrolled> {
  return answer(client.POST('/api/v1/devices/{id}/rotate', { params: { path: { id } } }))
}

export function revokeDevice(id: string): Promise<Device> {
  return answer(client.POST('/api/v1/devices/{id}/revoke', { params: { path: { id } } }))
}

/** Takes it off the list; history keeps it. */
export async function removeDevice(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/devices/{id}', { params: { path: { id } } }))
}

/** A knock that counted, and what became of it. */
export interface PastKnock {
  id: string
  at: string
  from: string
  outcome: string
}

/** The last knocks of a device, the newest first. For admins. */
export async function lastKnocks(device: string, limit: number): Promise<PastKnock[]> {
  const query = { action: 'knock', subject: device, limit }
  const { items } = await answer(client.GET('/api/v1/audit', { params: { query } }))
  return (items ?? []).map(({ id, at, client: from, detail }) => ({
    id, at, from: from ?? '', outcome: detail,
  }))
}
