import { behaveWell } from '../demo/gateway-faults.ts'

export interface HealedAfter {
  readonly gatewayUrl: string
  readonly say: (text: string) => void
}

/**
 * Does the work and then has the gateway behave, however the work ended. The load itself heals it before it asks for the
 * verdict; but a k6 that was killed does not, and the gateway of a stack that goes on would misbehave for ever.
 */
export async function withGatewayHealedAfter<T>({ gatewayUrl, say }: HealedAfter, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await behaveWell(gatewayUrl).catch((error: unknown) =>
      say(`the gateway could not be told to behave again: ${error instanceof Error ? error.message : error}`),
    )
  }
}
