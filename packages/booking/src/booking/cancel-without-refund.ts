import { sql, type Tx } from '@seatbelt/database'
import type { Booking } from '@seatbelt/domain'
import { type Operator, orderLockName, readRefundState } from '@seatbelt/payments'
import { guardSettle } from '@seatbelt/safety'
import { readBooking } from './booking-queries.ts'
import { freeBooking, type SettlingDeps } from './move-booking.ts'

export type CancelledWithoutRefund =
  | { readonly kind: 'not-found' }
  /** It is not confirmed, or the gateway may still refuse or make a refund of it. */
  | { readonly kind: 'not-cancelled'; readonly state: Booking['state']; readonly isRefundOpen: boolean }
  /** `keptMinor`: what was taken and not refunded. */
  | { readonly kind: 'cancelled'; readonly keptMinor: number }

/**
 * Cancels a booking and frees its seats without a request to the gateway, for a refund that the gateway can never make:
 * the payment is disputed, too old, or was settled with the customer in another way.
 *
 * Guarantees: the money does not move in our books. Nothing is cancelled while the outcome of a refund is unknown,
 * because it may still succeed or restore the booking. The decision is recorded in the commit that frees the seats. By
 * that record the same decision is done when it is repeated: its COMMIT may not have been answered.
 */
export async function cancelWithoutRefund(
  deps: SettlingDeps,
  bookingId: string,
  { name, reason }: Operator,
): Promise<CancelledWithoutRefund> {
  const { payments } = deps
  const [known] = await payments.database.query<{ accountId: string; orderId: string }>(sql`
    SELECT account_id, order_id FROM bookings WHERE id = ${bookingId}::uuid`)
  if (!known) return { kind: 'not-found' }
  return guardSettle(payments.layers, orderLockName(known), async (tx) => {
    const booking = await readBooking(tx, bookingId)
    const { leftMinor, isOutcomeUnknown } = await readRefundState(tx, booking.paymentId)
    const detail = `booking ${bookingId} cancelled without a refund: ${reason}`
    if (booking.state === 'cancelled' && (await wasCancelledBy(tx, booking.paymentId, detail, name)))
      return { kind: 'cancelled', keptMinor: leftMinor }
    if (booking.state !== 'confirmed' || isOutcomeUnknown)
      return { kind: 'not-cancelled', state: booking.state, isRefundOpen: isOutcomeUnknown }
    freeBooking(deps, tx, booking)
    tx.write(sql`
      INSERT INTO payment_events (account_id, payment_id, event, by, generation, detail, actor)
      SELECT account_id, id, 'operator', ${payments.by}, generation,
             ${detail}, ${name}
        FROM payments WHERE id = ${booking.paymentId}::uuid`)
    return { kind: 'cancelled', keptMinor: leftMinor }
  })
}

async function wasCancelledBy(tx: Tx, paymentId: string, detail: string, actor: string): Promise<boolean> {
  const lines = await tx.read(sql`
    SELECT 1 FROM payment_events
     WHERE payment_id = ${paymentId}::uuid AND event = 'operator' AND actor = ${actor} AND detail = ${detail}`)
  return lines.length > 0
}
