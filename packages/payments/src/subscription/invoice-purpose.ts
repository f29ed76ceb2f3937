import { type Invoice as InvoiceRow, sql, type Tx } from '@seatbelt/database'
import {
  decideAboutInvoice,
  type Invoice,
  type InvoiceDecision,
  type OrderState,
  type Payment,
  type Subscription,
} from '@seatbelt/domain'
import { changedOne, type FinalOutcome } from '@seatbelt/safety'
import { enqueueMessages } from '../messages/enqueue-messages.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps, Purpose } from '../shared/payment-deps.ts'
import { toInvoice } from '../shared/rows.ts'
import { lockSubscription, moveSubscription } from './subscription-to-decide.ts'

/** An order that collects an invoice: the end of its payment decides about the invoice and its subscription as well. */
export const invoicePurpose: Purpose = {
  settling: async (deps, tx, { orderId }) => {
    const [subscription, [invoice]] = await Promise.all([
      lockSubscription(tx, sql`id = (SELECT subscription_id FROM invoices WHERE order_id = ${orderId}::uuid)`),
      tx.read<InvoiceToSettle>(sql`
        SELECT *, clock_timestamp() AS now FROM invoices WHERE order_id = ${orderId}::uuid`),
    ])
    if (!subscription || !invoice) throw new Error(`order ${orderId} has lost its invoice or its subscription`)
    return {
      keyStep: (goal) => goal,
      authorized: async () => 'await',
      ended: async (payment, outcome, isWithdrawn) => {
        const paidId = outcome.state === 'succeeded' ? payment.id : null
        return {
          orderState: settleInvoice(deps, tx, { subscription, invoice }, payment, outcome),
          answer: (step) => deps.renderings.paymentSettled(payment, outcome, step),
          withdrawalAnswer: isWithdrawn ? deps.renderings.subscriptionChanged(subscription, paidId) : null,
          isUnfulfilled: false,
        }
      },
    }
  },
  refunded: async () => null,
  refundLost: async () => {},
  reinstated: async () => {},
}

interface InvoiceToSettle extends InvoiceRow {
  /** The database's time. */
  readonly now: Date
}

/** Writes what the end of its payment makes of an invoice and of its subscription. Returns the order's new state. */
function settleInvoice(
  deps: PaymentDeps,
  tx: Tx,
  read: { readonly subscription: Subscription; readonly invoice: InvoiceToSettle },
  payment: Payment,
  outcome: FinalOutcome,
): OrderState {
  const { subscription } = read
  const { tries, now } = read.invoice
  const invoice = toInvoice(read.invoice)
  const { id } = invoice
  if (invoice.state !== 'open') throw new Error(`invoice ${id} is ${invoice.state} while it is being collected`)
  const isMethodReplaced = payment.paymentMethod !== subscription.paymentMethod
  const { state, missedPeriods } = subscription
  const tried = { ...invoice, subscription: state, missedPeriods, isMethodReplaced }
  const { declines, refusals, retry, ...states } = decideAboutInvoice(tried, outcome)
  const settled = {
    ...invoice,
    state: states.invoice,
    declines,
    refusals,
    nextTryAt: nextTryOf(invoice, retry, now),
    settledAt: states.invoice === 'open' ? null : now,
  }
  writeInvoice(tx, settled, tries)
  const data = deps.renderings.invoiceSeen(settled)
  const fact = { accountId: payment.accountId, subjectId: id, data, receipt: null }
  if (settled.state === 'paid') enqueueMessages(deps, tx, { ...fact, topic: 'invoice.paid' })
  // Both can come again for one invoice, so their subject is the payment.
  const failed = { ...fact, subjectId: payment.id }
  if (outcome.state === 'declined') {
    const { declineCode } = outcome
    const told = { ...data, paymentId: payment.id, declineCode }
    enqueueMessages(deps, tx, { ...failed, topic: 'invoice.payment_failed', data: told })
  }
  if (states.subscription !== state) {
    moveSubscription(tx, subscription, { state: states.subscription })
    if (states.subscription === 'past_due') enqueueMessages(deps, tx, { ...failed, topic: 'invoice.past_due' })
  }
  if (outcome.state === 'declined' && outcome.declinedBy === 'gateway') {
    // Neither the card nor a caller may be at fault: a person must see it.
    const fault = new Error(`invoice ${id}: the gateway refused the request (${outcome.declineCode}), not the card`)
    tx.afterCommit(() => deps.layers.reportFault(fault, orderLockName(payment)))
  }
  return states.order
}

function nextTryOf({ nextTryAt }: Invoice, retry: InvoiceDecision['retry'], now: Date): Date | null {
  if (retry === 'never') return null
  return retry === 'due' ? nextTryAt : new Date(now.getTime() + retry.afterHours * 3_600_000)
}

function writeInvoice(tx: Tx, { id, state, declines, refusals, nextTryAt, settledAt }: Invoice, tries: number): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE invoices
         SET state = ${state}::invoice_state, declines = ${declines}, refusals = ${refusals},
             next_try_at = ${nextTryAt}::timestamptz, settled_at = ${settledAt}::timestamptz
       WHERE id = ${id}::uuid AND state = 'open' AND tries = ${tries}
      RETURNING id)
    SELECT ${changedOne['invoice-tries']}`)
}
