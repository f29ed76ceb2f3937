import type { Database, Payment as PaymentRow, Refund as RefundRow } from '@seatbelt/database'
import { Prisma } from '@seatbelt/database'
import { inProgressRetryAfterSeconds } from '@seatbelt/domain'
import { type Guarded, type Intent, orderLockName, type RecordedAnswer } from '@seatbelt/safety'
import { recoverPayment } from '../payment/recover-payment.ts'
import { recoverRefund } from '../refund/recover-refund.ts'
import type { RefundResult, Result } from './operations.ts'
import type { PaymentDeps } from './payment-deps.ts'
import { paymentColumns, refundColumns, toPayment, toRefund } from './rows.ts'

/** A request whose key started this step of a payment before, and has no answer yet. It never claims again. */
export async function resumePayment(deps: PaymentDeps, intent: Intent): Promise<Result> {
  if (intent.step === 'refund') throw new Error('the key of a payment is bound to a refund')
  const { paymentId, step } = intent
  const row = await readOne<PaymentRow>(
    deps.database,
    Prisma.sql`SELECT ${paymentColumns}, ${owner}, ${answerOf(Prisma.sql`payments`, Prisma.sql`payment_id = payments.id AND step = ${step}`)}
                 FROM payments WHERE id = ${paymentId}::uuid`,
  )
  return resume(deps, { ...row, subject: toPayment(row), recover: () => recoverPayment(deps, paymentId) })
}

/** The same for a refund. */
export async function resumeRefund(deps: PaymentDeps, intent: Intent): Promise<RefundResult> {
  if (intent.step !== 'refund') throw new Error('the key of a refund is bound to a payment')
  const { refundId } = intent
  const row = await readOne<RefundRow>(
    deps.database,
    Prisma.sql`SELECT ${refundColumns}, ${owner}, ${answerOf(Prisma.sql`refunds`, Prisma.sql`refund_id = refunds.id`)}
                 FROM refunds WHERE id = ${refundId}::uuid`,
  )
  return resume(deps, { ...row, subject: toRefund(row), recover: () => recoverRefund(deps, refundId) })
}

interface Found {
  readonly owner: 'alive' | 'dead' | 'gave-up'
  readonly answer: RecordedAnswer | null
}

interface Resumable<Subject> extends Found {
  readonly subject: Subject
  readonly recover: () => Promise<{ readonly result: Guarded<Subject> } | null>
}

/**
 * Its owner is alive: refused, to be asked again. Its owner gave up: `unsettled`, recovery is at it. Its owner died:
 * this request recovers it, as the worker would. It has been settled meanwhile: the recorded answer.
 */
async function resume<Subject extends { readonly accountId: string; readonly orderId: string }>(
  { layers }: PaymentDeps,
  { owner, answer, subject, recover }: Resumable<Subject>,
): Promise<Guarded<Subject>> {
  if (answer) return { kind: 'answered', answer, replayed: true }
  if (owner === 'alive')
    return { kind: 'refused', refusal: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds } }
  if (owner === 'gave-up') return { kind: 'unsettled', subject }
  try {
    return (await recover())?.result ?? { kind: 'unsettled', subject }
  } catch (fault) {
    // The intent is there, whatever failed now: the caller must not read this as "nothing happened".
    layers.reportFault(fault, orderLockName(subject))
    return { kind: 'unsettled', subject }
  }
}

const owner = Prisma.sql`
           CASE WHEN leased_until IS NULL THEN 'gave-up' WHEN leased_until < now() THEN 'dead' ELSE 'alive' END AS owner`

/** In the same statement, because this is the way of every retry in a storm of them. */
function answerOf(table: Prisma.Sql, condition: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`
           (SELECT json_build_object('status', answer_status, 'body', answer_body, 'location', answer_location)
              FROM idempotency_keys
             WHERE idempotency_keys.account_id = ${table}.account_id AND ${condition} AND answer_status IS NOT NULL) AS answer`
}

async function readOne<Row>(database: Database, statement: Prisma.Sql): Promise<Row & Found> {
  const [row] = await database.statement((client) => client.$queryRaw<(Row & Found)[]>(statement))
  if (!row) throw new Error('the intent that a key is bound to is not there')
  return row
}
