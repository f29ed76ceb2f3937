import { sql, type Tx } from '@seatbelt/database'
import type { Order, Payment } from '@seatbelt/domain'
import type { IntentParameters, PaymentAttempt } from '@seatbelt/safety'
import { moveOrder, type NamesAtGateway, type OrderToDecide } from '../order/order-to-decide.ts'
import { startLease } from '../shared/leased-work.ts'
import { type PaymentDeps, wantedMs } from '../shared/payment-deps.ts'
import type { OwnedPayment } from './owned-payment.ts'

/** How the money is to be taken. */
export type HowToPay = Pick<IntentParameters, 'paymentMethod' | 'captureMethod' | 'offSessionCustomer'>

export interface PaymentClaim extends Pick<OrderToDecide, 'order' | 'now' | 'names'> {
  /** Of a claim that is made anew because its commit was lost. A new one otherwise. */
  readonly id?: string
  readonly how: HowToPay
  /** How long recovery goes on asking for the money. */
  readonly wantedForMs?: number
}

/**
 * Claims the payment of an order, for requests and for billing: moves the order by compare-and-set (layer 4), and
 * inserts the payment once (layer 5). Under the order's lock, after the caller has read the order and decided.
 */
export function claimPayment(
  deps: PaymentDeps,
  tx: Tx,
  { id = deps.runtime.newId(), order, now, names, how, wantedForMs = wantedMs }: PaymentClaim,
): OwnedPayment {
  const lease = startLease(deps)
  const attempt: PaymentAttempt = { ...firstAttempt(deps, id, order, names, how), lease }
  const payment = newPayment(order, attempt, now)
  moveOrder(tx, order, 'processing')
  insertPayment(deps, tx, payment, attempt, {
    wantedForMs,
    customerId: order.purpose === 'invoice' ? null : order.customerId,
  })
  return { payment, purpose: order.purpose, attempt, attempts: 0, isOverdue: false }
}

function insertPayment(
  { policy, gatewayAccount, by }: PaymentDeps,
  tx: Tx,
  payment: Payment,
  { owner, goal, gatewayKey, intentParameters }: PaymentAttempt,
  { wantedForMs, customerId }: { readonly wantedForMs: number; readonly customerId: string | null },
): void {
  tx.write(sql`
    WITH inserted AS (
      INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, intent_parameters, goal,
                            gateway_key, gateway_account, owner, leased_until, next_attempt_at, abandon_after, created_at,
                            step_started_at, customer_id)
      VALUES (${payment.id}::uuid, ${payment.accountId}::uuid, ${payment.orderId}::uuid, ${payment.amountMinor},
              ${payment.currency}, ${payment.paymentMethod}, ${JSON.stringify(intentParameters)}::jsonb, ${goal},
              ${gatewayKey}, ${gatewayAccount.id}, ${owner}::uuid,
              clock_timestamp() + make_interval(secs => ${policy.leaseMs / 1000}::float8),
              clock_timestamp(), clock_timestamp() + make_interval(secs => ${wantedForMs / 1000}::float8),
              ${payment.createdAt}::timestamptz, clock_timestamp(), ${customerId})
      RETURNING account_id, id, generation)
    INSERT INTO payment_events (account_id, payment_id, event, by, generation)
    SELECT account_id, id, 'claimed', ${by}, generation FROM inserted`)
}

function firstAttempt(
  { runtime }: PaymentDeps,
  id: string,
  { accountId, amountMinor, currency }: Order,
  names: NamesAtGateway,
  how: HowToPay,
): Omit<PaymentAttempt, 'lease'> {
  const metadata = { paymentId: names.payment, orderId: names.order, accountId }
  return {
    id,
    generation: 1,
    owner: runtime.newId(),
    goal: how.captureMethod === 'manual' ? 'authorize' : 'charge',
    isFirstOwner: true,
    gatewayIntentId: null,
    gatewayKey: names.payment,
    intentParameters: { amountMinor, currency, ...how, metadata, cardWith: 'confirm' },
    keyNumbers: { create: 1, confirm: 1, capture: 1, cancel: 1 },
    notedDecline: null,
    wanted: true,
    keyIsRemembered: true,
  }
}

function newPayment(order: Order, { id, intentParameters }: PaymentAttempt, now: Date): Payment {
  return {
    id,
    accountId: order.accountId,
    orderId: order.id,
    amountMinor: order.amountMinor,
    currency: order.currency,
    paymentMethod: intentParameters.paymentMethod,
    state: 'processing',
    declineCode: null,
    declinedBy: null,
    gatewayIntentId: null,
    capturedMinor: 0,
    refundedMinor: 0,
    refundPendingMinor: 0,
    disputeState: null,
    disputedMinor: 0,
    createdAt: now,
    authorizedAt: null,
    settledAt: null,
  }
}
