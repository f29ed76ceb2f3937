import { sql } from '@seatbelt/database'
import { findOverdueAuthorizations, isAuthorizationOverdue, orderLockName } from '@seatbelt/payments'
import { guardSettle } from '@seatbelt/safety'
import { freeHolds } from '../hold/free-holds.ts'
import { holdOfOrder, lockHold } from '../hold/hold-queries.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'

/** The oldest checkouts that are under way. More than a gateway that answers ever has at the same time. */
const mostUnderWay = 1_000

/**
 * Frees the seats of one checkout whose outcome has been unknown for as long as a hold lasts. False: there is none, or
 * it was settled meanwhile.
 *
 * Without this, a gateway that is silent for an hour would keep the seats of every pending checkout for that hour. It
 * assumes nothing about the money: only a payment that is still to be authorized is considered, and the capture is
 * claimed in the commit that books. Recovery goes on and cancels the payment. If it was authorized after all, its seats
 * are gone, and the authorization is voided.
 */
export async function endOverdueCheckout(deps: Pick<BookingDeps, 'payments' | 'publishSeatChange'>): Promise<boolean> {
  const { database, layers, runtime } = deps.payments
  const underWay = await database.query<{ orderId: string }>(sql`
    SELECT order_id AS "orderId" FROM holds WHERE state = 'checking_out' ORDER BY order_id LIMIT ${mostUnderWay}`)
  if (underWay.length === 0) return false
  const overdue = await findOverdueAuthorizations(database, underWay)
  // By chance: one that cannot be ended must not keep the sweep from the others.
  const order = overdue[Math.floor(runtime.random() * overdue.length)]
  if (!order) return false
  return guardSettle(layers, orderLockName(order), async (tx) => {
    // Its owner may have settled it, or recovery may have taken it over.
    const [isOverdue, hold] = await Promise.all([isAuthorizationOverdue(tx, order), lockHold(tx, holdOfOrder(order))])
    if (!isOverdue || hold?.state !== 'checking_out') return false
    freeHolds(deps, tx, [hold], 'expired')
    return true
  })
}
