import { type Payment as PaymentRow, sql, type Tx } from '@seatbelt/database'
import { type Attempt, type AttemptLease, type Continues, changedOne, type Guarded } from '@seatbelt/safety'
import { appendHistory } from '../shared/history.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { type OwnedPayment, toNextStep } from './owned-payment.ts'

export interface NextStep {
  /** As it stands in this transaction: authorized. */
  readonly row: PaymentRow
  readonly owned: Pick<OwnedPayment, 'purpose'> & { readonly attempt: Pick<Attempt, 'owner'> }
  readonly goal: 'capture' | 'void'
  /** Null: no process is there to continue, and recovery finds the step due at once. */
  readonly nextLease: AttemptLease | null
}

/** Claims, for the owner that authorized the payment, what becomes of the authorization, in the same commit. */
export function claimNextStep(
  deps: PaymentDeps,
  tx: Tx,
  { row, owned, goal, nextLease }: NextStep,
): Continues<OwnedPayment> | Guarded<ReturnType<typeof toPayment>> {
  const attempt = nextLease ? { owner: owned.attempt.owner, lease: nextLease } : null
  const claimed = claimCaptureOrVoid(deps, tx, { row, goal, owner: attempt?.owner ?? null })
  if (!attempt) return { kind: 'unsettled', subject: toPayment(claimed) }
  return { kind: 'continues', attempt: toNextStep(claimed, owned.purpose, attempt) }
}

/**
 * Layer 4 for an authorized payment: between capturing and voiding, the first to claim decides. Raises the generation.
 *
 * `owner` null: the step has no owner. Returns the row as it stands after the claim.
 */
export function claimCaptureOrVoid(
  deps: PaymentDeps,
  tx: Tx,
  { row, goal, owner }: { readonly row: PaymentRow; readonly goal: 'capture' | 'void'; readonly owner: string | null },
): PaymentRow {
  const state = goal === 'capture' ? 'capturing' : 'voiding'
  const leaseSeconds = owner === null ? null : deps.policy.leaseMs / 1000
  tx.write(sql`
    WITH changed AS (
      UPDATE payments
         SET state = ${state}::payment_state, goal = ${goal}, generation = generation + 1, owner = ${owner}::uuid,
             leased_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}::float8),
             next_attempt_at = clock_timestamp(), attempts = 0, step_started_at = clock_timestamp(), wake_requested = false
       WHERE id = ${row.id}::uuid AND generation = ${row.generation} AND state = 'authorized'
      RETURNING id)
    SELECT ${changedOne['payment-generation']}`)
  const generation = row.generation + 1
  const history = { accountId: row.accountId, paymentId: row.id, generation, by: deps.by }
  appendHistory(deps, tx, history, [{ event: 'claimed', detail: goal }])
  return { ...row, state, goal, generation, owner, attempts: 0 }
}
