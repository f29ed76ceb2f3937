import { Prisma, type Tx } from '@seatbelt/database'
import {
  decideAboutInvoice,
  type InvoiceDecision,
  type OrderState,
  type Payment,
  type PaymentOutcome,
} from '@seatbelt/domain'
import { orderLockName } from '@seatbelt/safety'
import { enqueueMessages } from '../messages/enqueue-messages.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toInvoice } from '../shared/rows.ts'
import { lockSubscription } from './lock-subscription.ts'

/**
 * Writes down what the end of its payment makes of an invoice and of its subscription, in the settling commit and under the
 * order's lock, whoever settles: the billing run, recovery, or the gateway's word. What the order becomes is the answer.
 *
 * Guarantees: one settle of a payment counts once, because it is called only by the one that took effect.
 */
export async function settleInvoice(
  deps: PaymentDeps,
  tx: Tx,
  payment: Payment,
  outcome: PaymentOutcome,
): Promise<OrderState> {
  const { orderId } = payment
  const { subscriptionId } = await tx.invoice.findUniqueOrThrow({ where: { orderId } })
  const subscription = await lockSubscription(tx, subscriptionId)
  const invoice = await tx.invoice.findUniqueOrThrow({ where: { orderId } })
  if (invoice.state !== 'open') throw new Error(`invoice ${invoice.id} is ${invoice.state} while it is being collected`)

  const isMethodReplaced = payment.paymentMethod !== subscription.paymentMethod
  const tried = { declines: invoice.declines, subscription: subscription.state, isMethodReplaced }
  const decision = decideAboutInvoice(tried, outcome)
  // Nobody waits for this answer, and every run would ask in vain: a person must hear of it.
  if (outcome.state === 'declined' && outcome.declinedBy === 'gateway')
    deps.layers.reportFault(
      new Error(`invoice ${invoice.id}: the gateway refused the request (${outcome.declineCode}), not the card`),
      orderLockName(payment),
    )
  const settled = toInvoice(await write(tx, invoice.id, decision))
  const data = deps.renderings.invoiceSeen(settled)
  const told = { accountId: invoice.accountId, subjectId: invoice.id, receipt: null, data }
  if (decision.invoice === 'paid') await enqueueMessages(deps, tx, { ...told, topic: 'invoice.paid' })
  if (decision.subscription !== subscription.state) {
    if (!(await deps.layers.compareAndSet.subscription(tx, subscription, { state: decision.subscription })))
      throw new Error(`subscription ${subscriptionId} changed under its lock`)
    await enqueueMessages(deps, tx, { ...told, topic: 'invoice.past_due' })
  }
  return decision.order
}

/** The pauses are counted by the database's clock, as everything that becomes due. */
async function write(tx: Tx, id: string, { invoice, declines, retryAfterDays }: InvoiceDecision) {
  const nextTryAt =
    retryAfterDays === null
      ? Prisma.sql`next_try_at`
      : Prisma.sql`clock_timestamp() + make_interval(hours => ${24 * retryAfterDays}::int)`
  await tx.$executeRaw`
    UPDATE invoices
       SET state = ${invoice}::invoice_state, declines = ${declines}, next_try_at = ${nextTryAt},
           settled_at = ${invoice === 'open' ? Prisma.sql`NULL` : Prisma.sql`clock_timestamp()`}
     WHERE id = ${id}::uuid`
  return tx.invoice.findUniqueOrThrow({ where: { id } })
}
