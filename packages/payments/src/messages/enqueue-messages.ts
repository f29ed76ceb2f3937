import { sql, type Tx } from '@seatbelt/database'
import type { Money, Payment, Refund, Runtime } from '@seatbelt/domain'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** The kinds of facts that webhooks and receipts report. */
export type Topic =
  | `payment.${(typeof settledStates)[number]}`
  | `refund.${'succeeded' | 'failed' | 'reversed'}`
  | `dispute.${'opened' | 'funds_withdrawn' | 'funds_reinstated' | 'won' | 'lost' | 'closed'}`
  | `invoice.${'paid' | 'payment_failed' | 'past_due'}`
  | `booking.${'confirmed' | 'cancelled'}`
  | 'subscription.paused'

/** The facts of which the customer gets a mail. */
export type ReceiptTopic = Extract<Topic, 'payment.succeeded' | `refund.${string}`>

/** The states of a payment in which one of its steps is settled. */
const settledStates = ['authorized', 'succeeded', 'declined', 'cancelled', 'voided'] as const

export interface Fact {
  readonly accountId: string
  readonly topic: Topic
  /** The payment, refund, dispute, invoice, booking or subscription that it is about. */
  readonly subjectId: string
  /** The webhook's payload: the subject, as a client reads it from the API. */
  readonly data: object
  /** Sent to the customer if the order has an address. Null: no receipt. */
  readonly receipt: Receipt | null
}

/** The payload of a receipt. */
export interface Receipt extends Money {
  readonly orderId: string
}

export type Teller = Pick<PaymentDeps, 'runtime' | 'renderings'>

/** Announces a payment whose step is settled, in the settling commit. `payment` is as it stands after the settle. */
export function tellPayment(deps: Teller, tx: Tx, payment: Payment): void {
  const state = settledStates.find((settled) => settled === payment.state)
  if (!state) throw new Error(`a payment that is ${payment.state} is not settled, so it must not be announced`)
  // The receipt names what was taken, which may be a part of the amount.
  const { id: subjectId, accountId, orderId, capturedMinor: amountMinor, currency } = payment
  const receipt = state === 'succeeded' ? { orderId, amountMinor, currency } : null
  const data = deps.renderings.paymentSeen(payment)
  enqueueMessages(deps, tx, { accountId, topic: `payment.${state}`, subjectId, data, receipt })
}

/**
 * Announces a refund that is final, or that the bank sent back, in the commit that makes it so.
 *
 * `gatewayRefundId`: the gateway had made it. The customer gets a mail of such a refund also where it failed, because
 * it was announced, or its seats were freed upon it. A request for a refund that the gateway refused concerns the
 * merchant alone.
 */
export function tellRefund(deps: Teller, tx: Tx, refund: Refund, gatewayRefundId: string | null): void {
  const { id: subjectId, accountId, orderId, amountMinor, currency, state, reversedAt } = refund
  if (state !== 'succeeded' && state !== 'failed') throw new Error(`a refund that is ${state} must not be announced`)
  const topic = `refund.${reversedAt === null ? state : 'reversed'}` as const
  const data = deps.renderings.refundSeen(refund)
  const isTold = state === 'succeeded' || gatewayRefundId !== null
  const receipt = isTold ? { orderId, amountMinor, currency } : null
  enqueueMessages(deps, tx, { accountId, topic, subjectId, data, receipt })
}

/**
 * Writes the messages about a fact, in the transaction that makes it true.
 *
 * The statement itself finds out which there are: a webhook if the account has an endpoint, a receipt if the order has
 * an address. It has no ON CONFLICT: the index on (subject, topic, channel) refuses a fact that was announced before,
 * and with it the whole commit. So a second settle of one subject fails here, if all layers before let it through.
 */
export function enqueueMessages({ runtime }: { readonly runtime: Pick<Runtime, 'newId'> }, tx: Tx, fact: Fact): void {
  const { accountId, topic, subjectId, data, receipt } = fact
  tx.write(sql`
    INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload)
    SELECT ${runtime.newId()}::uuid, account_id, 'webhook', ${topic}, ${subjectId}::uuid, NULL,
           ${JSON.stringify(data)}::jsonb
      FROM webhook_endpoints WHERE account_id = ${accountId}::uuid
    UNION ALL
    SELECT ${runtime.newId()}::uuid, account_id, 'receipt', ${topic}, ${subjectId}::uuid, receipt_email,
           ${receipt && JSON.stringify(receipt)}::jsonb
      FROM orders
     WHERE account_id = ${accountId}::uuid AND id = ${receipt?.orderId ?? null}::uuid AND receipt_email IS NOT NULL`)
}
