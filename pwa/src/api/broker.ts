import { answer, client } from './client'
import type { components } from './schema'

/** How the MQTT brokers do, through which devices knock and guests redeem invitations. */
export type Brokers = components['schemas']['BrokerState']

/** For admins alone. */
export function brokers(): Promise<Brokers> {
  return answer(client.GET('/api/v1/broker'))
}
