import { sql } from '@seatbelt/database'
import {
  inProgressRetryAfterSeconds,
  type Payment,
  type PaymentEvent,
  type Refund,
  type Refusal,
} from '@seatbelt/domain'
import type { Refused } from '@seatbelt/safety'
import { findPayment } from '../payment/payment-queries.ts'
import { recoverPayment } from '../payment/recover-payment.ts'
import { recoverRefund } from '../refund/recover-refund.ts'
import { findRefund } from '../refund/refund-queries.ts'
import { type LeasedTable, leasedPayments, leasedRefunds } from '../shared/leased-work.ts'
import type { PaymentWithHistory } from '../shared/operations.ts'
import type { PaymentDeps, Queryable } from '../shared/payment-deps.ts'
import { toPayment, toPaymentEvent, toRefund } from '../shared/rows.ts'
import { bringForward, isWaiting } from './bring-forward.ts'

/** `reviewed`: the gateway was asked, and this is how the subject stands now. */
export type Reviewed<Subject> = { readonly kind: 'reviewed'; readonly subject: Subject } | Refused

/**
 * Looks now at a payment that waits for a person, and settles it if the gateway says by now what became of it. Recovery
 * does the same every hour. The lease of an owner that looks at this moment is respected.
 *
 * Guarantees: nothing is asked of the gateway but what recovery asks. It may be called again and again.
 */
export const reviewPayment = createReview<PaymentWithHistory>({
  kind: 'payment',
  table: leasedPayments,
  find: findPayment,
  recover: recoverPayment,
  notFound: (paymentId) => ({ code: 'payment-not-found', paymentId }),
  notInReview: (paymentId, { payment }) => ({ code: 'payment-not-in-review', paymentId, state: payment.state }),
})

/** As `reviewPayment`. */
export const reviewRefund = createReview<Refund>({
  kind: 'refund',
  table: leasedRefunds,
  find: findRefund,
  recover: recoverRefund,
  notFound: (refundId) => ({ code: 'refund-not-found', refundId }),
  notInReview: (refundId, { state }) => ({ code: 'refund-not-in-review', refundId, state }),
})

interface Reviewable<Subject> {
  readonly kind: 'payment' | 'refund'
  readonly table: LeasedTable
  readonly find: (deps: PaymentDeps, accountId: string, id: string) => Promise<Subject | null>
  readonly recover: (deps: PaymentDeps, id: string) => Promise<object | null>
  readonly notFound: (id: string) => Refusal
  readonly notInReview: (id: string, subject: Subject) => Refusal
}

function createReview<Subject>({ kind, table, find, recover, notFound, notInReview }: Reviewable<Subject>) {
  return async (deps: PaymentDeps, accountId: string, id: string): Promise<Reviewed<Subject>> => {
    if ((await find(deps, accountId, id)) === null) return { kind: 'refused', refusal: notFound(id) }
    const hasLooked = (await bringForward(deps, table, id)) && (await recover(deps, id)) !== null
    const subject = await find(deps, accountId, id)
    if (subject === null) throw new Error(`${kind} ${id} vanished`)
    if (hasLooked) return { kind: 'reviewed', subject }
    return { kind: 'refused', refusal: (await isWaiting(deps, table, id)) ? gatewayIsAway : notInReview(id, subject) }
  }
}

/** Recovery asks the gateway as soon as it is back. */
const gatewayIsAway = {
  code: 'temporarily-unavailable',
  retryAfterSeconds: inProgressRetryAfterSeconds,
} as const satisfies Refusal

/** The items that wait for a person, over all accounts. */
export type InReview = {
  /** Since when its present step has been open. */
  readonly openSince: Date
  /** How often recovery looked without an outcome. A look that brought nothing new has no line. */
  readonly looks: number
  /** The last lines, oldest first. */
  readonly history: readonly PaymentEvent[]
} & (
  | { readonly kind: 'payment'; readonly goal: string; readonly payment: Payment }
  | {
      readonly kind: 'refund'
      readonly gatewayIntentId: string
      readonly gatewayRefundId: string | null
      readonly refund: Refund
    }
)

/** A person reads them one by one. With more than these something is wrong that no look at a single one mends. */
const maxInReview = 100
const linesShown = 5

/** The oldest of each kind first. The literal of the state lets PostgreSQL use the index of what is open. */
export async function listInReview({ database }: Queryable): Promise<readonly InReview[]> {
  const ids = await database.query<{ id: string }>(sql`
    (SELECT id FROM payments WHERE state = 'needs_review' ORDER BY step_started_at LIMIT ${maxInReview})
    UNION ALL
    (SELECT id FROM refunds WHERE state = 'needs_review' ORDER BY created_at LIMIT ${maxInReview})`)
  const query = {
    where: { id: { in: ids.map(({ id }) => id) } },
    include: { events: { orderBy: { id: 'desc' }, take: linesShown } },
  } as const
  const payments = await database.statement(({ payment }) =>
    payment.findMany({ ...query, orderBy: { stepStartedAt: 'asc' } }),
  )
  const refunds = await database.statement(({ refund }) => refund.findMany({ ...query, orderBy: { createdAt: 'asc' } }))
  return [
    ...payments.map((row): InReview => {
      const { goal, stepStartedAt: openSince } = row
      const history = row.events.reverse().map(toPaymentEvent)
      return { kind: 'payment', openSince, looks: row.attempts, history, goal, payment: toPayment(row) }
    }),
    ...refunds.map((row): InReview => {
      const { gatewayIntentId, gatewayRefundId, createdAt: openSince } = row
      const history = row.events.reverse().map(toPaymentEvent)
      const { attempts: looks } = row
      return { kind: 'refund', openSince, looks, history, gatewayIntentId, gatewayRefundId, refund: toRefund(row) }
    }),
  ]
}

export type OperatorReview =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'payment'; readonly result: Reviewed<PaymentWithHistory> }
  | { readonly kind: 'refund'; readonly result: Reviewed<Refund> }

/** Looks now at the payment or the refund with this id, of any account. */
export async function reviewAsOperator(deps: PaymentDeps, id: string): Promise<OperatorReview> {
  const { database } = deps
  const payment = await database.statement((client) => client.payment.findUnique({ where: { id } }))
  if (payment) return { kind: 'payment', result: await reviewPayment(deps, payment.accountId, id) }
  const refund = await database.statement((client) => client.refund.findUnique({ where: { id } }))
  if (!refund) return { kind: 'unknown' }
  return { kind: 'refund', result: await reviewRefund(deps, refund.accountId, id) }
}
