import type { RollBack, Tx } from '@seatbelt/database'
import { decideToUse, type Payment } from '@seatbelt/domain'
import {
  type ClaimedByOwner,
  claimPayment,
  resumePayment,
  settleOwnStep,
  startOwnLease,
  toOrder,
} from '@seatbelt/payments'
import { type Call, type Effectful, type Evidence, guardEffect, type OwnLease, orderLockName } from '@seatbelt/safety'
import { atHold } from '../hold/hold-lock.ts'
import { type LockedHold, lockHold } from '../hold/hold-rows.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { CheckoutResult, NewCheckout } from '../shared/operations.ts'

/**
 * Pays for a hold and books what it is of.
 *
 * claim: pin the seats, make an order, claim its payment. Effect: put the amount on hold. Settle: book the seats, and claim the
 * capture in the same commit. Effect: capture. Settle: the booking is confirmed. What happens to the seats in the two settles
 * stands in `checkout-steps.ts`, because recovery and the gateway's word do it too.
 *
 * Guarantees: a hold is paid for at most once, and booked if and only if it was paid; a decline gives the hold the time back that
 * it had left. Nobody pays for seats that are gone: what is on hold is then given back. `unsettled` means that the outcome is
 * being found out: the same key brings it later.
 */
export async function checkOut(deps: BookingDeps, call: Call, request: NewCheckout): Promise<CheckoutResult> {
  const { layers, payments } = deps
  const { holdId } = request
  const result = await guardEffect<ClaimedByOwner, OwnEvidence, Payment>(layers, call, {
    meetAt: atHold(call, holdId),
    claim: (tx, rollBack) => claim(deps, tx, { call, request, rollBack }),
    effect: async ({ claimed, lease }) => {
      const evidence = await layers.gatewayIntent(claimed, lease)
      return { evidence, nextLease: startOwnLease(payments.policy) }
    },
    settleAt: ({ payment }) => orderLockName(payment),
    settle: (tx, { payment, claimed }, found) => settleOwnStep(payments, tx, { payment, claimed, ...found }),
    unsettled: ({ payment }) => payment,
    resume: (intent) => resumePayment(payments, intent),
  })
  if (result.kind !== 'unsettled') return result
  const { id: paymentId, orderId } = result.subject
  return { kind: 'unsettled', subject: { holdId, orderId, paymentId } }
}

interface OwnEvidence {
  readonly evidence: Evidence
  /** Of what may follow, begun before anybody else could see that this owner goes on. */
  readonly nextLease: OwnLease
}

interface Claim {
  readonly call: Call
  readonly request: NewCheckout
  readonly rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>
}

/**
 * Under the hold's lock, and its row's: read, decide, pin, order, claim the payment, bind the key. All of it or nothing is
 * committed. The order comes after the hold in this one place, which is safe because nobody has seen it yet.
 */
async function claim(
  deps: BookingDeps,
  tx: Tx,
  { call, request, rollBack }: Claim,
): ReturnType<Effectful<ClaimedByOwner, never, Payment>['claim']> {
  const { holdId, customerId, paymentMethod, receiptEmail } = request
  const { payments, policy, layers } = deps
  const hold = await lockHold(tx, call.accountId, holdId)
  if (!hold) return { kind: 'refused', refusal: { code: 'hold-not-found', holdId } }
  const decision = decideToUse(hold, customerId)
  if (decision.code !== 'use') return { kind: 'refused', refusal: decision }
  if (!(await pin(tx, hold))) return { kind: 'refused', refusal: { code: 'hold-expired', holdId } }

  const { accountId, amountMinor, currency } = hold
  const row = await tx.order.create({
    data: { id: payments.newId(), accountId, customerId, amountMinor, currency, receiptEmail, purpose: 'checkout' },
  })
  await tx.$executeRaw`
    UPDATE holds SET state = 'checking_out', checkouts = checkouts + 1, order_id = ${row.id}::uuid, left_ms = ${hold.leftMs}
     WHERE id = ${holdId}::uuid`
  const asked = { paymentMethod, captureMethod: 'manual' } as const
  // As long as a customer waits for a hold, and no longer, recovery goes on asking for the money.
  const wanted = { order: toOrder(row), asked, wantedForMs: policy.holdMs }
  const result = await claimPayment(payments, tx, wanted, rollBack)
  if (result.kind === 'refused') throw new Error(`order ${row.id} was seen before it was committed`)
  const { id: paymentId } = result.claimed.payment
  if (!(await layers.idempotencyKey.bindToIntent(tx, call, { step: 'checkout', paymentId })))
    return rollBack({ kind: 'key-taken' })
  return result
}

/**
 * Proves that all claims of the hold are still its own, and keeps them from lapsing until its payment has ended: all of them or,
 * if one is lost, none. Places need no pin: nobody takes those of a hold that is being checked out.
 */
async function pin(tx: Tx, { id, tierId, quantity }: LockedHold): Promise<boolean> {
  if (tierId !== null) return true
  const count = await tx.$executeRaw`
    WITH own AS MATERIALIZED (
      SELECT seat_id FROM seat_claims
       WHERE hold_id = ${id}::uuid AND NOT pinned AND expires_at > clock_timestamp() ORDER BY seat_id FOR UPDATE)
    UPDATE seat_claims SET pinned = true FROM own
     WHERE seat_claims.seat_id = own.seat_id AND (SELECT count(*) FROM own) = ${quantity}`
  return count === quantity
}
