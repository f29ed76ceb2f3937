import { type Payment as PaymentRow, type Sql, sql, type Tx } from '@seatbelt/database'
import type { Call, Payment } from '@seatbelt/domain'
import { type Claimed, changedOne, type Guarded, type KeyTarget } from '@seatbelt/safety'
import { isOwnedBy, leasedPayments } from '../shared/leased-work.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { recoverPayment } from './recover-payment.ts'

export type OpenPayment = Pick<PaymentRow, 'id' | 'generation' | 'paymentMethod' | 'withdrawnAt'>

/**
 * The open payment of an order that is not paid for by a live request: its owner gave up or died, or recovery is at
 * work on it. An authorized payment, and the steps after it, are the merchant's to end.
 */
export async function lockPaymentWithoutRequest(tx: Tx, orderId: string): Promise<OpenPayment | null> {
  const hasNoLiveOwner = sql`generation > 1 OR leased_until IS NULL OR leased_until < now()`
  const [payment] = await lockOpenPayment(tx, sql`order_id = ${orderId}::uuid AND (${hasNoLiveOwner})`)
  return payment ?? null
}

/** Locked, so that it is neither settled nor taken over before it is withdrawn. */
export function lockOpenPayment(tx: Tx, which: Sql): Promise<OpenPayment[]> {
  return tx.read<OpenPayment>(sql`
    SELECT id, generation, payment_method, withdrawn_at FROM payments
     WHERE ${which} AND state IN ('processing', 'needs_review') AND goal IN ('charge', 'authorize')
       FOR NO KEY UPDATE`)
}

/**
 * Withdraws a payment for which the gateway was not asked yet, or whose outcome is not known yet: deposes its owner,
 * and leaves it to the next owner to cancel its intent. The caller's key is answered by the commit that settles the
 * payment.
 *
 * The deposed owner may still have a confirm on its way. The gateway then refuses either the confirm or the cancel, and
 * so tells which of the two came first.
 */
export function withdrawPayment(
  { by }: PaymentDeps,
  tx: Tx,
  { id, generation, withdrawnAt }: OpenPayment,
): Claimed<null> {
  // The times are cut, not rounded as the columns would: the payment must be due, and unwanted, from this moment on.
  const now = sql`date_trunc('milliseconds', clock_timestamp())`
  if (withdrawnAt === null)
    tx.write(sql`
      WITH changed AS (
        UPDATE payments
           SET generation = generation + 1, owner = NULL, leased_until = NULL, withdrawn_at = ${now},
               abandon_after = LEAST(abandon_after, ${now}), next_attempt_at = ${now}
         WHERE ${isOwnedBy(leasedPayments, { id, generation })}
        RETURNING account_id, id, generation),
      noted AS (
        INSERT INTO payment_events (account_id, payment_id, event, by, generation)
        SELECT account_id, id, 'withdrawn', ${by}, generation FROM changed)
      SELECT ${changedOne['payment-generation']}`)
  return { kind: 'claimed', attempt: null, target: { step: 'withdraw', paymentId: id } }
}

/**
 * Cancels the intent of a withdrawn payment, as recovery does, and returns the answer that the settling commit recorded
 * for this key. `unsettled`: the outcome is not known yet, or another process is finding it out.
 */
export async function finishWithdrawal(deps: PaymentDeps, call: Call, target: KeyTarget): Promise<Guarded<Payment>> {
  if (target.step !== 'withdraw') throw new Error(`the key of a cancellation is bound to a ${target.step}`)
  const { paymentId } = target
  try {
    await recoverPayment(deps, paymentId)
  } catch (fault) {
    // The withdrawal is committed, whatever failed now. The payment stays due, and the worker takes it.
    deps.layers.reportFault(fault, `payment ${paymentId}`)
  }
  const seen = await deps.layers.idempotencyKey.find(call)
  if (seen.kind === 'answered') return { kind: 'answered', answer: seen.answer, replayed: false }
  const [row] = await deps.database.query<PaymentRow>(sql`SELECT * FROM payments WHERE id = ${paymentId}::uuid`)
  if (!row) throw new Error(`payment ${paymentId} is gone`)
  return { kind: 'unsettled', subject: toPayment(row) }
}
