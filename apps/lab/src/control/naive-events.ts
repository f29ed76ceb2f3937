import type { Database } from '@seatbelt/database'
import type { EventResult, GatewayEvent } from '@seatbelt/payments'
import { bookCharge } from './naive-parts.ts'

/**
 * Takes what the gateway tells, as a tutorial does it: the payment succeeded, so the money is booked. The signature is
 * checked; whether this event was told before is not. An event that comes before its payment is written fails on the
 * foreign key, and is delivered again.
 */
export async function applyNaively(
  { database }: { readonly database: Database },
  event: GatewayEvent,
): Promise<EventResult> {
  const { subject } = event
  if (event.type !== 'payment_intent.succeeded' || subject.kind !== 'intent' || subject.shown === null) return 'ignored'
  const { accountId, paymentId } = subject.named
  if (accountId === null || paymentId === null) return 'ignored'
  const { amountMinor, currency } = subject.shown
  await bookCharge(database, { id: paymentId, accountId, amountMinor, currency })
  return 'applied'
}
