import type { GatewayEvent } from '../event.ts'
import { renderCharge } from './render-charge.ts'
import { renderDispute } from './render-dispute.ts'
import { renderPaymentIntent } from './render-payment-intent.ts'
import { renderRefund } from './render-refund.ts'
import { apiVersion, unixSeconds } from './stripe-values.ts'

/** The event as Stripe writes it. Its object is the one of then, whatever it has become since. */
export function renderEvent(event: GatewayEvent, pendingWebhooks: number): object {
  return {
    id: event.id,
    object: 'event',
    api_version: apiVersion,
    created: unixSeconds(event.createdAt),
    data: {
      object: renderSubject(event),
      ...(event.previousStatus !== null && { previous_attributes: { status: event.previousStatus } }),
    },
    livemode: false,
    pending_webhooks: pendingWebhooks,
    request: { id: event.requestId, idempotency_key: event.idempotencyKey },
    type: event.type,
  }
}

function renderSubject({ subject }: GatewayEvent): object {
  if ('dispute' in subject) return renderDispute(subject.dispute)
  if ('refund' in subject) return renderRefund(subject.refund)
  if ('charge' in subject) return renderCharge(subject.charge)
  return renderPaymentIntent(subject.intent)
}
