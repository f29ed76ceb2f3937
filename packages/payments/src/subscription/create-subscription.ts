import type { Tx } from '@seatbelt/database'
import { inProgressRetryAfterSeconds, type Schedule } from '@seatbelt/domain'
import { type Call, guardTransaction } from '@seatbelt/safety'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toSubscription } from '../shared/rows.ts'
import { dueAt, lastPeriodDue, wallTimeAt } from './period.ts'
import type { NewSubscription } from './subscription-operations.ts'

/**
 * Creates a subscription, once per key. It charges nothing: the billing run does, from the first full hour on.
 *
 * The payment method must be attached to the gateway's customer, which only the merchant's own page can do, as it alone
 * handles cards; nothing is asked of the gateway here. One that the gateway refuses because it is
 * not attached is asked for again by every run, and reported: only what a bank says counts as a decline.
 */
export function createSubscription(deps: PaymentDeps, call: Call, asked: NewSubscription): Promise<Result> {
  return guardTransaction(deps.layers, call, {
    resource: null,
    contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
    work: async (tx) => {
      const { interval, anchor, ...fields } = asked
      const now = await readClock(tx)
      const schedule = { ...asked, anchor: anchor ?? wallTimeAt(asked.timeZone, now) }
      const row = await tx.subscription.create({
        data: {
          ...fields,
          ...{
            id: deps.newId(),
            accountId: call.accountId,
            intervalUnit: interval.unit,
            intervalCount: interval.count,
          },
          anchor: new Date(`${schedule.anchor}Z`),
          ...periodToBeginWith(schedule, now),
        },
      })
      return { kind: 'done', answer: deps.renderings.subscriptionCreated(toSubscription(row)) }
    },
  })
}

/**
 * The period that the present moment lies in, or the first one where the anchor is still to come: however far an anchor is
 * dated back, one charge is due at once, and what lies before was somebody else's to collect.
 */
export function periodToBeginWith(
  schedule: Schedule,
  now: Date,
): { readonly nextPeriod: number; readonly nextDueAt: Date } {
  const nextPeriod = Math.max(0, lastPeriodDue(schedule, now))
  return { nextPeriod, nextDueAt: dueAt(schedule, nextPeriod) }
}

/** The database's, as for all that falls due. */
export async function readClock(tx: Tx): Promise<Date> {
  const [row] = await tx.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`
  if (!row) throw new Error('the database did not tell its time')
  return row.now
}
