import { sql } from '@seatbelt/database'
import { type Call, inProgressRetryAfterSeconds, type Refusal } from '@seatbelt/domain'
import type { LockTarget, Refused } from '@seatbelt/safety'
import type { PaymentDeps } from './payment-deps.ts'

interface OrderOfAccount {
  readonly accountId: string
  readonly orderId: string
}

/**
 * The name of an order's lock, in Redis and in PostgreSQL alike. The account is part of it, so that an account that
 * names another one's order contends with no other request.
 */
export function orderLockName({ accountId, orderId }: OrderOfAccount): string {
  return `order:${accountId}:${orderId}`
}

/** The lock of all operations that decide about one order. */
export function orderLock(order: OrderOfAccount): LockTarget {
  return { resource: orderLockName(order), contended: inProgress(order.orderId) }
}

/** The lock of a payment's order. Refused: the caller's account has no payment with this id. */
export async function orderLockOfPayment(
  { database }: PaymentDeps,
  { accountId }: Call,
  paymentId: string,
): Promise<LockTarget | Refused> {
  // A payment never changes its order, so it can be looked up before the order's lock is taken.
  const [known] = await database.query<{ orderId: string }>(sql`
    SELECT order_id FROM payments WHERE account_id = ${accountId}::uuid AND id = ${paymentId}::uuid`)
  if (!known) return { kind: 'refused', refusal: { code: 'payment-not-found', paymentId } }
  return orderLock({ accountId, orderId: known.orderId })
}

export function inProgress(orderId: string): Refusal {
  return { code: 'payment-in-progress', orderId, retryAfterSeconds: inProgressRetryAfterSeconds }
}
