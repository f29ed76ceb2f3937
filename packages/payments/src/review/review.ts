import { type Database, Prisma } from '@seatbelt/database'
import {
  inProgressRetryAfterSeconds,
  type Payment,
  type PaymentEvent,
  type Refund,
  type Refusal,
} from '@seatbelt/domain'
import { findPayment } from '../payment/payment-queries.ts'
import { recoverPayment } from '../payment/recover-payment.ts'
import { recoverRefund } from '../refund/recover-refund.ts'
import { findRefund } from '../refund/refund-queries.ts'
import type { RefundReviewResult, ReviewResult } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment, toPaymentEvent, toRefund } from '../shared/rows.ts'
import { dueNow, waitsForAPerson } from './close-missing.ts'

/**
 * Looks now at a payment that waits for a person, and settles it if the gateway says by now what became of it. It is what
 * recovery does every hour, brought forward: the lease of whoever looks at this moment is respected.
 *
 * Guarantees: nothing is asked of the gateway but what recovery asks. It may be called again and again.
 */
export async function reviewPayment(deps: PaymentDeps, accountId: string, paymentId: string): Promise<ReviewResult> {
  const found = await findPayment(deps.database, accountId, paymentId)
  if (found === null) return { kind: 'refused', refusal: { code: 'payment-not-found', paymentId } }
  const looked =
    (await bringForward(deps.database, payments, paymentId)) && (await recoverPayment(deps, paymentId)) !== null
  const now = await findPayment(deps.database, accountId, paymentId)
  if (now === null) throw new Error(`payment ${paymentId} vanished`)
  if (looked) return { kind: 'reviewed', payment: now }
  const refusal: Refusal = (await isWaiting(deps.database, payments, paymentId))
    ? gatewayIsAway
    : { code: 'payment-not-in-review', paymentId, state: now.payment.state }
  return { kind: 'refused', refusal }
}

/** The same for a refund. */
export async function reviewRefund(
  deps: PaymentDeps,
  accountId: string,
  refundId: string,
): Promise<RefundReviewResult> {
  const { database } = deps
  if ((await findRefund(database, accountId, refundId)) === null)
    return { kind: 'refused', refusal: { code: 'refund-not-found', refundId } }
  const looked = (await bringForward(database, refunds, refundId)) && (await recoverRefund(deps, refundId)) !== null
  const refund = await findRefund(database, accountId, refundId)
  if (refund === null) throw new Error(`refund ${refundId} vanished`)
  if (looked) return { kind: 'reviewed', refund }
  const isAway = await isWaiting(database, refunds, refundId)
  return {
    kind: 'refused',
    refusal: isAway ? gatewayIsAway : { code: 'refund-not-in-review', refundId, state: refund.state },
  }
}

const payments = Prisma.sql`payments`
const refunds = Prisma.sql`refunds`

/** False: it is settled, or somebody is at it. */
async function bringForward(database: Database, table: Prisma.Sql, id: string): Promise<boolean> {
  const count = await database.statement(
    (client) => client.$executeRaw`
    UPDATE ${table} SET look_at = ${dueNow} WHERE id = ${id}::uuid AND ${waitsForAPerson}`,
  )
  return count === 1
}

/** Nobody has it, and nobody took it: then the gateway is away, and is asked as soon as it is back. */
async function isWaiting(database: Database, table: Prisma.Sql, id: string): Promise<boolean> {
  const rows = await database.statement(
    (client) => client.$queryRaw<unknown[]>`SELECT FROM ${table} WHERE id = ${id}::uuid AND ${waitsForAPerson}`,
  )
  return rows.length === 1
}

const gatewayIsAway = {
  code: 'temporarily-unavailable',
  retryAfterSeconds: inProgressRetryAfterSeconds,
} as const satisfies Refusal

/** What waits for a person, over all accounts. */
export type InReview = {
  readonly accountId: string
  readonly orderId: string
  /** Since when its present step has been open. */
  readonly openSince: Date
  readonly gatewayIntentId: string | null
  /** The last lines, oldest first. */
  readonly history: readonly PaymentEvent[]
} & (
  | { readonly kind: 'payment'; readonly goal: string; readonly payment: Payment }
  | { readonly kind: 'refund'; readonly gatewayRefundId: string | null; readonly refund: Refund }
)

/** A person reads them one by one. With more than these something is wrong that no look at a single one mends. */
const maxInReview = 100
const linesShown = 5

/** Oldest first. */
export async function listInReview(database: Database): Promise<readonly InReview[]> {
  const where = { state: 'needs_review' } as const
  const include = { events: { orderBy: { id: 'desc' }, take: linesShown } } as const
  const paymentRows = await database.statement((client) =>
    client.payment.findMany({ where, include, orderBy: { stepStartedAt: 'asc' }, take: maxInReview }),
  )
  const refundRows = await database.statement((client) =>
    client.refund.findMany({ where, include, orderBy: { createdAt: 'asc' }, take: maxInReview }),
  )
  return [
    ...paymentRows.map((row): InReview => {
      const { accountId, orderId, gatewayIntentId, goal, stepStartedAt: openSince } = row
      const history = row.events.reverse().map(toPaymentEvent)
      return { kind: 'payment', accountId, orderId, gatewayIntentId, goal, openSince, history, payment: toPayment(row) }
    }),
    ...refundRows.map((row): InReview => {
      const { accountId, orderId, gatewayIntentId, gatewayRefundId, createdAt: openSince } = row
      const history = row.events.reverse().map(toPaymentEvent)
      return {
        kind: 'refund',
        ...{ accountId, orderId, gatewayIntentId, gatewayRefundId, openSince, history },
        refund: toRefund(row),
      }
    }),
  ]
}

export type OperatorReview =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'payment'; readonly result: ReviewResult }
  | { readonly kind: 'refund'; readonly result: RefundReviewResult }

/** Looks now at the payment or the refund with this id, whoever's it is. */
export async function reviewAsOperator(deps: PaymentDeps, id: string): Promise<OperatorReview> {
  const { database } = deps
  const payment = await database.statement((client) => client.payment.findUnique({ where: { id } }))
  if (payment) return { kind: 'payment', result: await reviewPayment(deps, payment.accountId, id) }
  const refund = await database.statement((client) => client.refund.findUnique({ where: { id } }))
  if (!refund) return { kind: 'unknown' }
  return { kind: 'refund', result: await reviewRefund(deps, refund.accountId, id) }
}
