import type { Device } from '@/api/devices'
import type { Invitation } from '@/api/invitations'
import type { Me } from '@/api/auth'
import type { Grant } from '@/api/grants'
import type { Service } from '@/api/services'
import type { Session } from '@/api/sessions'
import type { Site } from '@/api/sites'
import type { User } from '@/api/users'

// Whole resources for tests; each test names only what matters to it.

export const noon = Date.parse('2030-05-03T12:00:00Z')

export function sampleMe(change: Partial<Me> = {}): Me {
  return {
    id: 'ana-id', name: 'ana', role: 'user', site_count: 1, must_change_password: false,
    created: at(-86_400_000),
    limits: { default: 1800, max: 28_800, port_min: 20_000, port_max: 29_999 }, ...change,
  }
}

export function sampleService(change: Partial<Service> = {}): Service {
  return {
    id: 'photos-id', site: 'home-id', name: 'photos', kind: 'forward', transport: 'tcp',
    target: '192.168.7.10:443', created: at(-86_400_000), ...change,
  }
}

export function sampleSite(change: Partial<Site> = {}): Site {
  return { id: 'home-id', name: 'Home', host: 'home.example.org', connected: true, ...change }
}

/** Open since ten minutes, for twenty more. */
export function sampleSession(change: Partial<Session> = {}): Session {
  return {
    id: 'session-id', site: 'home-id', site_name: 'Home', user: 'ana-id', user_name: 'ana',
    service: 'photos-id', service_name: 'photos', source: '203.0.113.24/32', public_port: 20443,
    transport: 'tcp', target: '192.168.7.10:443', state: 'active', guest: false, opened: at(-600_000),
    expires: at(1_200_000), address: 'home.example.org:20443',
    traffic: { up_bytes: 0, up_packets: 0, down_bytes: 0, down_packets: 0 }, ...change,
  }
}

/** The time so many milliseconds after noon. */
export function at(milliseconds: number): string {
  return new Date(noon + milliseconds).toISOString()
}

export function sampleInvitation(change: Partial<Invitation> = {}): Invitation {
  return {
    id: 'invitation-id', user: 'ana-id', user_name: 'ana', service: 'photos-id', service_name: 'photos',
    site: 'home-id', site_name: 'Home', for: '1h0m0s', uses: 3, used: 1, countries: [], state: 'valid',
    created: at(-3_600_000), expires: at(86_400_000), ...change,
  }
}

export function sampleDevice(change: Partial<Device> = {}): Device {
  return {
    id: 'device-id', user: 'ana-id', site: 'home-id', name: 'phone', require_claimed_source: false,
    revoked: false, created: at(-86_400_000), ...change,
  }
}

export function sampleUser(change: Partial<User> = {}): User {
  return {
    id: 'ana-id', name: 'ana', role: 'user', disabled: false, must_change_password: false,
    created: at(-86_400_000), ...change,
  }
}

export function sampleGrant(change: Partial<Grant> = {}): Grant {
  return {
    id: 'grant-id', user: 'ana-id', service: 'photos-id', automatic: false, allow_reserved: false, require_claimed_source: false,
    created: at(-86_400_000), ...change,
  }
}
