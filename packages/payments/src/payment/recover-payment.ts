import type { Payment as PaymentRow, Tx } from '@seatbelt/database'
import { Prisma } from '@seatbelt/database'
import type { Decline, Payment, PaymentGoal } from '@seatbelt/domain'
import {
  type ClaimedPayment,
  effectSettle,
  type GatewayRequest,
  type IntentParameters,
  orderLockName,
} from '@seatbelt/safety'
import type { Result } from '../shared/operations.ts'
import { type PaymentDeps, reviewAfterMs, startOwnLease } from '../shared/payment-deps.ts'
import { paymentColumns, toPayment } from '../shared/rows.ts'
import type { ClaimedByOwner } from './claim-payment.ts'
import { type Settlement, settleOwnStep } from './settle-payment.ts'

export interface Recovered {
  readonly payment: Payment
  readonly result: Result
}

/**
 * Takes over one payment whose owner died or gave up, finds out what became of it, and finishes it: forward while it is
 * still wanted, by cancelling its intent afterwards. The worker calls it for whatever is due, a retried request for its own.
 *
 * Guarantees: of many copies, one takes a payment (SKIP LOCKED, and the generation fences whoever had it before); it looks
 * at the gateway before it asks for anything. Null: nothing is due, or the gateway is not to be asked now (then nothing is
 * taken, and no payment is put off for a look that could not show anything).
 * Fails with: database faults. The lease then runs out, and the payment is due again.
 */
export function recoverPayment(deps: PaymentDeps, paymentId?: string): Promise<Recovered | null> {
  return recover(deps, paymentId === undefined ? abandoned : theOne(paymentId))
}

/**
 * The same for a hold that nobody captured in time: it is given back before the card's network lets it lapse. It has a turn of
 * its own, because that day does not wait until all else that is due is done.
 */
export function recoverLapsingHold(deps: PaymentDeps): Promise<Recovered | null> {
  return recover(deps, lapsing)
}

async function recover(deps: PaymentDeps, which: Prisma.Sql): Promise<Recovered | null> {
  const recovered = await deps.layers.gatewayGate.forRecovery(() => recoverDuePayment(deps, which))
  return recovered && 'reason' in recovered ? null : recovered
}

const isAbandoned = Prisma.sql`state IN ('processing', 'capturing', 'voiding', 'needs_review')
         AND look_at <= now() AND (leased_until IS NULL OR leased_until < now())`
const isLapsing = Prisma.sql`state = 'authorized' AND void_at <= now()`

const abandoned = Prisma.sql`${isAbandoned} ORDER BY look_at`
const lapsing = Prisma.sql`${isLapsing} ORDER BY void_at`
const theOne = (paymentId: string) => Prisma.sql`id = ${paymentId}::uuid AND (${isAbandoned} OR ${isLapsing})`

async function recoverDuePayment(deps: PaymentDeps, which: Prisma.Sql): Promise<Recovered | null> {
  const lease = startOwnLease(deps.policy)
  const due = await takeDuePayment(deps, which)
  if (!due) return null
  const { payment, claimed, looks, overdue } = due
  const steps = {
    effect: async (owned: ClaimedByOwner) => {
      const evidence = await deps.layers.gatewayIntent(owned.claimed, owned.lease)
      return { evidence, nextLease: startOwnLease(deps.policy) }
    },
    settle: (tx: Tx, owned: ClaimedByOwner, found: Pick<Settlement, 'evidence' | 'nextLease'>) =>
      // How often was looked, and since when, is said of the step that was taken over. What follows it begins anew.
      settleOwnStep(deps, tx, {
        ...{ payment: owned.payment, claimed: owned.claimed, ...found },
        ...(owned.claimed === claimed && { looks, overdue }),
      }),
  }
  const result = await effectSettle(deps.layers, orderLockName(payment), steps, { payment, claimed, lease })
  return { payment, result }
}

interface DuePayment {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly looks: number
  readonly overdue: boolean
}

/**
 * One statement: choose, raise the generation, lease, and write the line of history.
 *
 * One payment at a time, so that none waits in a queue of its owner while its lease runs. MATERIALIZED, because a
 * subquery that locks must not be run twice; NO KEY UPDATE, because rows that refer to the payment must not hide it.
 * `look_at` moves on, so that a payment whose recovery fails each time stands behind the others and not before them.
 */
async function takeDuePayment({ database, policy, by }: PaymentDeps, which: Prisma.Sql): Promise<DuePayment | null> {
  const rows = await database.statement(
    (client) => client.$queryRaw<DueRow[]>`
    WITH due AS MATERIALIZED (SELECT id FROM payments WHERE ${which} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    taken AS (
      UPDATE payments
         SET generation = generation + 1, look_at = clock_timestamp(), hinted = false,
             state = CASE state WHEN 'authorized' THEN 'voiding' ELSE state END,
             goal = CASE state WHEN 'authorized' THEN 'void' ELSE goal END,
             looks = CASE state WHEN 'authorized' THEN 0 ELSE looks END,
             step_started_at = CASE state WHEN 'authorized' THEN clock_timestamp() ELSE step_started_at END,
             leased_until = clock_timestamp() + make_interval(secs => ${policy.leaseMs / 1000}::float8)
        FROM due WHERE payments.id = due.id RETURNING payments.*),
    noted AS (
      INSERT INTO payment_events (payment_id, event, by, generation) SELECT id, 'taken-over', ${by}, generation FROM taken)
    SELECT ${paymentColumns}, goal IN ('capture', 'void') OR wanted_until > now() AS wanted,
           step_started_at < now() - make_interval(secs => ${reviewAfterMs / 1000}::float8) AS overdue
      FROM taken`,
  )
  return rows[0] ? toDuePayment(rows[0]) : null
}

type DueRow = PaymentRow & { readonly wanted: boolean; readonly overdue: boolean }

function toDuePayment(row: DueRow): DuePayment {
  return {
    payment: toPayment(row),
    looks: row.looks,
    overdue: row.overdue,
    claimed: toClaimedPayment(row, row.wanted),
  }
}

/** A payment that was claimed before, as whoever takes it over has it. */
export function toClaimedPayment(row: PaymentRow, wanted: boolean): ClaimedPayment {
  return {
    id: row.id,
    generation: row.generation,
    // The database holds that it is one of these.
    goal: row.goal as PaymentGoal,
    isFirstOwner: false,
    gatewayIntentId: row.gatewayIntentId,
    // Written by the claim from the same type; nobody else writes this column.
    intentParameters: row.intentParameters as unknown as IntentParameters,
    attempts: attemptsIn(row),
    notedDecline: row.declineCode === null ? null : { declineCode: row.declineCode, declinedBy: toDeclinedBy(row) },
    wanted,
  }
}

/** Null: it was noted by a version that took every refusal for the bank's. */
function toDeclinedBy({ declinedBy }: PaymentRow): Decline['declinedBy'] {
  return declinedBy === 'gateway' ? 'gateway' : 'bank'
}

export function attemptsIn(row: Pick<PaymentRow, `${GatewayRequest}Attempt`>): ClaimedPayment['attempts'] {
  return {
    create: row.createAttempt,
    confirm: row.confirmAttempt,
    capture: row.captureAttempt,
    cancel: row.cancelAttempt,
  }
}
