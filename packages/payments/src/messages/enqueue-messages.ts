import type { Tx } from '@seatbelt/database'
import type { Money, Payment, Refund } from '@seatbelt/domain'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** What an account can be told of. */
export type Topic =
  | 'payment.authorized'
  | 'payment.succeeded'
  | 'payment.declined'
  | 'payment.cancelled'
  | 'payment.voided'
  | 'refund.succeeded'
  | 'refund.failed'
  | 'refund.reversed'
  | 'invoice.paid'
  | 'invoice.past_due'
  | 'booking.confirmed'
  | 'booking.cancelled'

export interface Fact {
  readonly accountId: string
  readonly topic: Topic
  /** The payment, refund, invoice or booking that it is about. */
  readonly subjectId: string
  /** What a webhook tells: what a client sees who looks at the subject. */
  readonly data: object
  /** What the customer is told, if the order has an address; null: nothing. */
  readonly receipt: Receipt | null
}

/** The payload of a receipt. */
export interface Receipt extends Money {
  readonly orderId: string
}

type Teller = Pick<PaymentDeps, 'newId' | 'renderings'>

/** Tells of a payment whose step is settled, in the settling commit. `payment`: as it stands after it. */
export function tellPayment(deps: Teller, tx: Tx, payment: Payment): Promise<void> {
  const { id, accountId, state } = payment
  return enqueueMessages(deps, tx, {
    ...{ accountId, subjectId: id, topic: topicOf(state), data: deps.renderings.paymentSeen(payment) },
    receipt: state === 'succeeded' ? receiptOf(payment) : null,
  })
}

/** Tells of a refund that is final, or that the bank sent back, in the commit that makes it so. */
export function tellRefund(deps: Teller, tx: Tx, refund: Refund): Promise<void> {
  const { id, accountId, state, reversedAt } = refund
  if (state !== 'succeeded' && state !== 'failed') throw new Error(`refund ${id} is ${state}: there is nothing to tell`)
  return enqueueMessages(deps, tx, {
    ...{ accountId, subjectId: id, data: deps.renderings.refundSeen(refund) },
    topic: reversedAt === null ? `refund.${state}` : 'refund.reversed',
    receipt: state === 'succeeded' ? receiptOf(refund) : null,
  })
}

function receiptOf({ orderId, amountMinor, currency }: Receipt): Receipt {
  return { orderId, amountMinor, currency }
}

/**
 * Writes down what somebody outside must be told, in the transaction that makes it true: a webhook if the account has an
 * endpoint, a receipt if the order has an address. One statement, which finds out by itself whether there is anything.
 *
 * No ON CONFLICT: the index on (subject, topic, channel) refuses a fact that was told before, and with it the whole commit.
 * Who settles twice must hear of it here, if all layers before let him through.
 */
export async function enqueueMessages({ newId }: Pick<Teller, 'newId'>, tx: Tx, fact: Fact): Promise<void> {
  const { accountId, topic, subjectId, data, receipt } = fact
  await tx.$executeRaw`
    INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload)
    SELECT ${newId()}::uuid, account_id, 'webhook', ${topic}, ${subjectId}::uuid, NULL, ${JSON.stringify(data)}::jsonb
      FROM webhook_endpoints WHERE account_id = ${accountId}::uuid
    UNION ALL
    SELECT ${newId()}::uuid, account_id, 'receipt', ${topic}, ${subjectId}::uuid, receipt_email,
           ${receipt && JSON.stringify(receipt)}::jsonb
      FROM orders WHERE account_id = ${accountId}::uuid AND id = ${receipt?.orderId ?? null}::uuid AND receipt_email IS NOT NULL`
}

function topicOf(state: Payment['state']): Topic {
  switch (state) {
    case 'authorized':
    case 'succeeded':
    case 'declined':
    case 'cancelled':
    case 'voided':
      return `payment.${state}`
    default:
      throw new Error(`a payment that is ${state} is not settled: there is nothing to tell`)
  }
}
