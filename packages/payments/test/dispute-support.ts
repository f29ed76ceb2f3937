import { applyGatewayEvent, type EventResult } from '../src/index.ts'
import { eventAbout, intentOf } from './gateway-console.ts'
import type { Paid } from './refund-support.ts'
import type { Replica, Shop } from './shop.ts'

/** Plays the customers and the banks at the simulator. */

export type DisputeStep = 'review' | 'win' | 'win-unpaid' | 'reinstate' | 'lose' | 'escalate' | 'close'

export interface OpenedDispute {
  readonly id: string
  step(step: DisputeStep, amount?: number): Promise<void>
  /** The newest event of `charge.dispute.` and this type arrives. */
  deliver(to: Pick<Replica, 'deps'>, type: string): Promise<EventResult>
}

export async function dispute(
  shop: Shop,
  { paymentId }: Pick<Paid, 'paymentId'>,
  how: { readonly amount?: number; readonly inquiry?: boolean } = {},
): Promise<OpenedDispute> {
  const { id } = await control(shop, 'disputes', { paymentIntent: await intentOf(shop, paymentId), ...how })
  return {
    id,
    step: async (step, amount) => {
      await control(shop, `disputes/${id}/${step}`, amount === undefined ? {} : { amount })
    },
    deliver: async ({ deps }, type) => applyGatewayEvent(deps, await eventAbout(shop, `charge.dispute.${type}`, id)),
  }
}

async function control({ gatewayUrl }: Shop, path: string, body: object): Promise<{ readonly id: string }> {
  const response = await fetch(`${gatewayUrl}/_control/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = (await response.json()) as { dispute: { id: string } }
  if (!response.ok) throw new Error(`the simulator refused: ${JSON.stringify(answer)}`)
  return answer.dispute
}
