import { answer, client, everyPage, pageLimit } from './client'
import type { components } from './schema'

export type Service = components['schemas']['Service']
export type NewService = components['schemas']['NewService']
export type ServiceChange = components['schemas']['ServiceChange']
export type ProxyOptions = components['schemas']['ProxyOptions']

/** The services that the person signed in may use; all of them for an admin. */
export function listServices(): Promise<Service[]> {
  return everyPage((cursor) =>
    answer(
      client.GET('/api/v1/services', {
        params: { query: { limit: pageLimit, ...(cursor && { cursor }) } },
      }),
    ),
  )
}

const uploaded = 'uploaded:'

/** Whether a service's icon is a picture of its own. */
export function isUploaded(icon: string | undefined): icon is string {
  return icon?.startsWith(uploaded) ?? false
}

/** Where the picture is that was uploaded for a service; another picture is another address. */
export function iconOf(service: string, icon: string): string {
  return `/api/v1/services/${encodeURIComponent(service)}/icon?v=${icon.slice(uploaded.length)}`
}

// What follows is for admins alone.

export function addService(body: NewService): Promise<Service> {
  return answer(client.POST('/api/v1/services', { body }))
}

export function changeService(id: string, body: ServiceChange): Promise<Service> {
  return answer(client.PATCH('/api/v1/services/{id}', { params: { path: { id } }, body }))
}

export async function removeService(id: string): Promise<void> {
  await answer(client.DELETE('/api/v1/services/{id}', { params: { path: { id } } }))
}

/** Uploads the picture of a service, which the server makes harmless. */
export function setIcon(id: string, picture: Blob): Promise<Service> {
  return answer(
    client.PUT('/api/v1/services/{id}/icon', {
      params: { path: { id } },
      body: '',
      // The description knows no type for bytes.
      bodySerializer: () => picture,
      headers: { 'Content-Type': picture.type },
    }),
  )
}

/** What the site's nginx would be configured with for a service with these options. */
export async function previewService(id: string, options: ProxyOptions): Promise<string> {
  const call = client.POST('/api/v1/services/{id}/preview', {
    params: { path: { id } },
    body: { options },
  })
  return (await answer(call)).text
}
