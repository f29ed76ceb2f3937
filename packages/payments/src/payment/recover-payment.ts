import { type Payment as PaymentRow, type Sql, sql, type Tx } from '@seatbelt/database'
import type { OrderPurpose, Payment } from '@seatbelt/domain'
import { finishAttempt, guardSettle, mayPass } from '@seatbelt/safety'
import { LastEffect, unrecorded } from '../shared/last-effect.ts'
import { isDue, leasedPayments, startLease, takeOver } from '../shared/leased-work.ts'
import type { Result } from '../shared/operations.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { askGateway, type OwnedPayment, type PaymentFound, toAttempt } from './owned-payment.ts'
import { leavePaymentOpen, settlePayment } from './settle-payment.ts'

export interface Recovered {
  readonly payment: Payment
  readonly result: Result
}

/**
 * Takes over one payment whose owner died or gave up, finds out what became of it, and finishes it: forward while it is
 * still wanted, by cancelling its intent afterwards. The worker calls it for whatever is due, a retried request for its
 * own.
 *
 * Guarantees: of many copies, one takes a payment (SKIP LOCKED, and the generation fences its former owner). It looks
 * at the gateway before it asks for anything. Null: nothing is due, or the gateway must not be asked now; then nothing
 * is taken.
 * Fails with: database errors. The lease then runs out, and the payment is due again.
 */
export function recoverPayment(
  deps: PaymentDeps,
  paymentId?: string,
  ask: typeof askGateway = askGateway,
): Promise<Recovered | null> {
  return recover(deps, paymentId === undefined ? due : theOne(paymentId), ask)
}

/**
 * The same for an authorization that was not captured in time: it is voided before the card's network lets it lapse. It
 * has a turn of its own, because that day does not wait until everything else that is due is done.
 */
export function recoverExpiredAuthorization(deps: PaymentDeps): Promise<Recovered | null> {
  return recover(deps, expired, askGateway)
}

const isExpired = sql`state = 'authorized' AND void_at <= now()`
const due = sql`${isDue(leasedPayments)} ORDER BY next_attempt_at`
const expired = sql`${isExpired} ORDER BY void_at`
const theOne = (paymentId: string) => sql`id = ${paymentId}::uuid AND (${isDue(leasedPayments)} OR ${isExpired})`

async function recover(deps: PaymentDeps, which: Sql, ask: typeof askGateway): Promise<Recovered | null> {
  const recovered = await deps.layers.gatewayGate.forRecovery(null, async () => {
    const owned = await takeOverPayment(deps, which)
    return owned && { payment: owned.payment, result: await finishPayment(deps, owned, ask) }
  })
  return recovered && 'reason' in recovered ? null : recovered
}

/**
 * The work of every owner of a payment that exists: the effect, and the settle under the order's lock.
 *
 * If it still fails on our side after a day, the payment waits for a person, with what the gateway showed in its
 * history. Recovery goes on hourly, and settles it once the cause is repaired.
 */
async function finishPayment(deps: PaymentDeps, owned: OwnedPayment, ask: typeof askGateway): Promise<Result> {
  const { layers } = deps
  const resource = orderLockName(owned.payment)
  const effect = new LastEffect((next: OwnedPayment) => ask(deps, next))
  const settle = (tx: Tx, next: OwnedPayment, found: PaymentFound) => settlePayment(deps, tx, next, found)
  try {
    return await finishAttempt(layers, resource, { effect: effect.run, settle }, owned)
  } catch (fault) {
    if (!owned.isOverdue || mayPass(fault)) throw fault
    layers.reportFault(fault, resource)
    const evidence = unrecorded(effect.found?.evidence ?? null)
    return guardSettle(layers, resource, (tx) => leavePaymentOpen(deps, tx, owned, evidence))
  }
}

type DueRow = PaymentRow & {
  readonly wanted: boolean
  readonly keyIsRemembered: boolean
  readonly overdue: boolean
  readonly purpose: OrderPurpose
}

async function takeOverPayment(deps: PaymentDeps, which: Sql): Promise<OwnedPayment | null> {
  const attempt = { owner: deps.runtime.newId(), lease: startLease(deps) }
  const row = await takeOver<DueRow>(deps, leasedPayments, which, attempt.owner)
  if (!row) return null
  return {
    payment: toPayment(row),
    purpose: row.purpose,
    attempt: toAttempt(row, {
      ...attempt,
      isFirstOwner: false,
      wanted: row.wanted,
      keyIsRemembered: row.keyIsRemembered,
    }),
    attempts: row.attempts,
    isOverdue: row.overdue,
  }
}
