import { type Sql, sql, type Tx } from '@seatbelt/database'
import { decideToPay, type InvoiceState, type Refusal } from '@seatbelt/domain'
import { type Claimed, changedOne, guardSystemEffect, type Refused } from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import { claimPayment } from '../payment/claim-payment.ts'
import { askGateway, type OwnedPayment } from '../payment/owned-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { leasedPayments, wasClaimed } from '../shared/leased-work.ts'
import { orderLock } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { admitBillingFence, type BillingTerm } from './billing-term.ts'
import { isCustomerOf, pauseUnproven } from './gateway-customer.ts'
import { lockSubscription } from './subscription-to-decide.ts'

export interface DueInvoice {
  readonly id: string
  readonly accountId: string
  readonly subscriptionId: string
  readonly orderId: string
}

export type ChargeResult =
  | 'charged'
  | 'declined'
  /** The payment ended without a bank's refusal: a later run tries again. */
  | 'cancelled'
  /** The outcome is not known. Recovery finds it out, and no run tries again before. */
  | 'unsettled'
  /** It was paid, tried or cancelled meanwhile, or cannot be tried in this run. */
  | 'not-due'
  /** Another operation holds its order, or the lock did not answer: look again. */
  | 'busy'
  /** The gateway admits nothing now, or the claim's commit was lost. Nothing is claimed. */
  | 'unavailable'

/**
 * Tries once to collect an invoice from the payment method that its customer left with the gateway.
 *
 * Guarantees: as `payOrder`. There is no key; what can happen once is the invoice's try: its claim names the number of
 * tries that it read, and the order has at most one live payment. A deposed leader claims nothing (`StaleFence` is
 * thrown), and nothing is claimed for a subscription that was cancelled. A customer at the gateway who is not known to
 * be the account's is not charged: the subscription is paused.
 */
export async function chargeInvoice(deps: PaymentDeps, term: BillingTerm, invoice: DueInvoice): Promise<ChargeResult> {
  const result = await guardSystemEffect(deps.layers, {
    lockOn: orderLock(invoice),
    begins: { accountId: invoice.accountId, operation: 'pay' },
    claim: (tx) => claimTry(deps, tx, term, invoice),
    effect: (owned) => askGateway(deps, owned),
    settle: (tx, owned, found) => settlePayment(deps, tx, owned, found),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedPayments, attempt),
    unsettled: ({ payment }) => payment,
  })
  if (result.kind !== 'refused') return readResult(deps, invoice)
  if (result.refusal.code === 'gateway-customer-not-found') await pauseUnproven(deps, invoice.subscriptionId)
  return refusedAs(result.refusal)
}

/**
 * Under the order's lock: admits the leader, reads everything again, decides, and takes the try.
 *
 * `term` null: a person asked for it, so it need not be due, and the subscription may be past due.
 */
export async function claimTry(
  deps: PaymentDeps,
  tx: Tx,
  term: BillingTerm | null,
  { id, accountId, orderId, subscriptionId }: DueInvoice,
): Promise<Claimed<OwnedPayment> | Refused> {
  const [, subscription, isOurs, [invoice], found] = await Promise.all([
    term && admitBillingFence(tx, term.fence),
    lockSubscription(tx, sql`id = ${subscriptionId}::uuid`),
    isCustomerOf(tx, customerOf(subscriptionId)),
    tx.read<{ state: InvoiceState; tries: number; nextTryAt: Date | null }>(sql`
      SELECT state::text, tries, next_try_at FROM invoices WHERE id = ${id}::uuid`),
    readOrderToDecide(deps, tx, accountId, orderId),
  ])
  if (!subscription || !invoice || !found) throw new Error(`invoice ${id} has lost its order or its subscription`)
  const decision = decideToPay(found.order, found.live, 'invoice')
  if (decision.code !== 'pay') return { kind: 'refused', refusal: decision }
  if (found.isBlocked) return { kind: 'refused', refusal: { code: 'order-blocked', orderId } }
  // Of a run, any refusal means `not-due`: see `refusedAs`. So one code does for a paused and a past-due subscription.
  if (subscription.state === 'cancelled' || (term && subscription.state !== 'active'))
    return { kind: 'refused', refusal: { code: 'subscription-cancelled', subscriptionId } }
  const isDue = term === null || (invoice.nextTryAt !== null && invoice.nextTryAt <= term.dueBy)
  if (invoice.state !== 'open' || !isDue) return { kind: 'refused', refusal: { code: 'order-managed', orderId } }
  const { gatewayCustomerId } = subscription
  if (!isOurs) return { kind: 'refused', refusal: { code: 'gateway-customer-not-found', gatewayCustomerId } }

  takeTry(tx, id, { tries: invoice.tries, dueBy: term?.dueBy ?? null })
  const how = { paymentMethod: subscription.paymentMethod, offSessionCustomer: subscription.gatewayCustomerId }
  const attempt = claimPayment(deps, tx, { ...found, how })
  return { kind: 'claimed', attempt, target: { step: 'pay', paymentId: attempt.payment.id } }
}

function customerOf(subscriptionId: string): Sql {
  return sql`(account_id, gateway_customer_id) = (
    SELECT account_id, gateway_customer_id FROM subscriptions WHERE id = ${subscriptionId}::uuid)`
}

/**
 * Layer 4 for invoices: takes the next try, unless another process took it since it was read.
 *
 * The invoice is due again from now on, for a later run, if this try ends without a bank's refusal: a run tries only
 * what was due when its hour began.
 */
function takeTry(tx: Tx, id: string, { tries, dueBy }: { readonly tries: number; readonly dueBy: Date | null }): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE invoices SET tries = tries + 1, next_try_at = clock_timestamp()
       WHERE id = ${id}::uuid AND state = 'open' AND tries = ${tries}
         AND (${dueBy}::timestamptz IS NULL OR next_try_at <= ${dueBy}::timestamptz)
      RETURNING id)
    SELECT ${changedOne['invoice-tries']}`)
}

function refusedAs({ code }: Refusal): ChargeResult {
  // Never for want of a slot: the configuration gives each lane of the run one of its own. If the gateway forbids the
  // payments of this account alone, the run goes on with the others, and a later run tries this one again.
  if (code === 'temporarily-unavailable') return 'unavailable'
  return code === 'payment-in-progress' ? 'busy' : 'not-due'
}

/** By the payment's final state. A request that the gateway itself refused reached no bank, so it is not a decline. */
const results: Readonly<Record<string, ChargeResult>> = {
  succeeded: 'charged',
  'declined by bank': 'declined',
  'declined by gateway': 'cancelled',
  'declined by payment-method': 'cancelled',
  cancelled: 'cancelled',
  voided: 'cancelled',
}

/**
 * Reads what became of the try. The row knows it in all cases, also where the gateway's event or recovery settled it
 * first. The try's payment is the order's latest: no other try starts before a later run, whose leader has deposed this
 * one.
 */
async function readResult({ database }: PaymentDeps, { orderId }: DueInvoice): Promise<ChargeResult> {
  const [payment] = await database.query<{ finalState: string }>(sql`
    SELECT CASE state WHEN 'declined' THEN 'declined by ' || COALESCE(declined_by, 'bank') ELSE state::text END
           AS final_state
      FROM payments WHERE order_id = ${orderId}::uuid ORDER BY created_at DESC, id DESC LIMIT 1`)
  return results[payment?.finalState ?? ''] ?? 'unsettled'
}
