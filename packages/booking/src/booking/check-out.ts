import { sql, type Tx } from '@seatbelt/database'
import { type Call, decideOnDeclines, decideToUse } from '@seatbelt/domain'
import {
  askGateway,
  claimPayment,
  hasOrphans,
  leasedPayments,
  type NamesOfOrder,
  namesOf,
  type OrderToDecide,
  type OwnedPayment,
  orderLockName,
  type PaymentDeps,
  readDeclines,
  readNamesOfNewOrder,
  resumePayment,
  settlePayment,
  wasClaimed,
  writeOrder,
} from '@seatbelt/payments'
import { type Claimed, guardEffect, type Refused } from '@seatbelt/safety'
import { holdLock } from '../hold/hold-lock.ts'
import { holdOfAccount, type LockedHold, lockHold } from '../hold/hold-queries.ts'
import { moveHold } from '../hold/move-hold.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { CheckoutResult, NewCheckout } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'

/**
 * Pays for a hold and books what it is of.
 *
 * claim: pin the seats, create an order, claim its payment. Effect: authorize. Settle: book the seats, and claim the
 * capture in the same commit. Effect: capture. Settle: confirm the booking. `checkout-purpose.ts` shows how the two
 * settles change the seats, because recovery and webhooks settle as well.
 *
 * Guarantees: a hold is paid for at most once, and booked if and only if it was paid. After a decline the hold has the
 * time again that it had left. No customer pays for seats that are gone: the authorization is voided then. `unsettled`
 * means that the outcome is being found out: the same key brings it later.
 */
export async function checkOut(deps: BookingDeps, call: Call, request: NewCheckout): Promise<CheckoutResult> {
  const { payments } = deps
  const { holdId } = request
  const result = await guardEffect(payments.layers, call, {
    lockOn: holdLock(call, holdId),
    begins: 'pay',
    claim: (tx) => claim(deps, tx, call, request),
    effect: (owned) => askGateway(payments, owned),
    settleLock: ({ payment }) => orderLockName(payment),
    settle: (tx, owned, found) =>
      settlePayment(payments, tx, owned, found, call, () => beginAgain(deps, tx, call, request, owned)),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedPayments, attempt),
    unsettled: ({ payment }) => payment,
    resume: (target) => resumePayment(payments, target),
  })
  if (result.kind !== 'unsettled') return result
  const { id: paymentId, orderId, state } = result.subject
  return { kind: 'unsettled', subject: { holdId, orderId, paymentId, isInReview: state === 'needs_review' } }
}

/** Here alone the order comes after the hold, which is safe because no other transaction can see the order yet. */
async function claim(
  { payments, policy }: BookingDeps,
  tx: Tx,
  { accountId }: Call,
  request: NewCheckout,
): Promise<Claimed<OwnedPayment> | Refused> {
  const { holdId, customerId, paymentMethod } = request
  const [hold, isOrphaned, declines] = await Promise.all([
    lockHold(tx, holdOfAccount(accountId, holdId)),
    hasOrphans(tx, accountId),
    readDeclines(tx, payments.policy.declineLimits, { accountId, customerId }),
  ])
  if (!hold) return refuse({ code: 'hold-not-found', holdId })
  const decision = decideToUse(hold, customerId)
  if (decision.code !== 'use') return refuse(decision)
  if (!hold.isWhole) return refuse({ code: 'hold-expired', holdId })
  const mayTry = decideOnDeclines(declines)
  if (mayTry.code !== 'pay') return refuse(mayTry)

  const reference = nextReference(payments, hold)
  const named = isOrphaned
    ? await readNamesOfNewOrder(payments, tx, reference)
    : { names: namesOf(payments, reference, []), usedNames: [], closedNames: [], isBlocked: false }
  // There is no order yet. The gateway knows the lost one by this name.
  if (named.isBlocked) return refuse({ code: 'order-blocked', orderId: reference })
  const attempt = claimPayment(payments, tx, {
    ...begin(payments, tx, hold, request, named),
    how: { paymentMethod, captureMethod: 'manual' },
    // Recovery asks for the money as long as a customer waits for a hold, and no longer.
    wantedForMs: policy.holdMs,
  })
  return { kind: 'claimed', attempt, target: { step: 'checkout', paymentId: attempt.payment.id } }
}

/** Pins the seats, and creates the order that pays for them. */
function begin(
  payments: PaymentDeps,
  tx: Tx,
  hold: LockedHold,
  { customerId, receiptEmail }: NewCheckout,
  named: NamesOfOrder,
  lostId?: string,
): OrderToDecide {
  const { accountId, amountMinor, currency, now } = hold
  const gatewayReference = named.names.order
  const newOrder = { accountId, customerId, amountMinor, currency, receiptEmail, purpose: 'checkout' } as const
  const order = writeOrder(payments, tx, { ...newOrder, gatewayReference, ...(lostId && { lostId }) }, now)
  // Pinned claims do not lapse. Places need no pin: no request takes those of a hold that is being checked out.
  moveHold(tx, hold, {
    hold: sql`
      state = 'checking_out', checkouts = checkouts + 1, order_id = ${order.id}::uuid, left_ms = ${hold.leftMs}`,
    claims: sql`pinned = true`,
  })
  // The caller has decided upon declines.
  return { order, live: null, now, declines: [], ...named }
}

function nextReference({ layers }: PaymentDeps, { name, checkouts }: LockedHold): string {
  return layers.gatewayReference('checkout', name, checkouts + 1)
}

/**
 * Writes the claim's order and pins anew for an owner whose claim was lost with its commit. The row of the hold decides
 * between this and another checkout of it.
 *
 * Null: the hold was lost too, has ended, is being checked out again, or lost seats to another customer. A hold whose
 * time is over counts as long as it has its seats, because the lost claim had stopped its clock.
 */
async function beginAgain(
  { payments }: BookingDeps,
  tx: Tx,
  { accountId }: Call,
  request: NewCheckout,
  { payment, attempt }: OwnedPayment,
): Promise<OrderToDecide | null> {
  const hold = await lockHold(tx, holdOfAccount(accountId, request.holdId))
  if (hold?.state !== 'active' || !hold.isWhole) return null
  const reference = nextReference(payments, hold)
  const isSameCheckout = reference === attempt.intentParameters.metadata.orderId
  const isSamePrice = hold.amountMinor === payment.amountMinor && hold.currency === payment.currency
  if (!isSameCheckout || !isSamePrice) return null
  const named = await readNamesOfNewOrder(payments, tx, reference)
  return begin(payments, tx, hold, request, named, payment.orderId)
}
