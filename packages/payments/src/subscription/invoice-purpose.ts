import { type Invoice as InvoiceRow, sql, type Tx } from '@seatbelt/database'
import { decideAboutInvoice, type Invoice, type OrderState, type Payment, type Subscription } from '@seatbelt/domain'
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
}

interface InvoiceToSettle extends InvoiceRow {
  /** The database's time. */
  readonly now: Date
}

const dayMs = 24 * 3_600_000

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
  const tried = { declines: invoice.declines, subscription: subscription.state, isMethodReplaced }
  const { declines, retryAfterDays, ...states } = decideAboutInvoice(tried, outcome)

  const nextTryAt = retryAfterDays === null ? invoice.nextTryAt : new Date(now.getTime() + retryAfterDays * dayMs)
  const settled = {
    ...invoice,
    state: states.invoice,
    declines,
    nextTryAt,
    settledAt: states.invoice === 'open' ? null : now,
  }
  writeInvoice(tx, settled, tries)
  const data = deps.renderings.invoiceSeen(settled)
  const fact = { accountId: payment.accountId, subjectId: id, data, receipt: null }
  if (settled.state === 'paid') enqueueMessages(deps, tx, { ...fact, topic: 'invoice.paid' })
  if (states.subscription !== subscription.state) {
    moveSubscription(tx, subscription, { state: states.subscription })
    enqueueMessages(deps, tx, { ...fact, topic: 'invoice.past_due' })
  }
  if (outcome.state === 'declined' && outcome.declinedBy !== 'bank') {
    // No card was asked, no caller receives an answer, and every run would fail the same way.
    const fault = new Error(`invoice ${id}: the gateway refused the request (${outcome.declineCode}), not the card`)
    tx.afterCommit(() => deps.layers.reportFault(fault, orderLockName(payment)))
  }
  return states.order
}

function writeInvoice(tx: Tx, { id, state, declines, nextTryAt, settledAt }: Invoice, tries: number): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE invoices
         SET state = ${state}::invoice_state, declines = ${declines}, next_try_at = ${nextTryAt}::timestamptz,
             settled_at = ${settledAt}::timestamptz
       WHERE id = ${id}::uuid AND state = 'open' AND tries = ${tries}
      RETURNING id)
    SELECT ${changedOne['invoice-tries']}`)
}
