import {
  type Invoice as InvoiceRow,
  type Order as OrderRow,
  type PaymentEvent as PaymentEventRow,
  type Payment as PaymentRow,
  Prisma,
  type Refund as RefundRow,
  type Subscription as SubscriptionRow,
} from '@seatbelt/database'
import {
  type Currency,
  currencies,
  type IntervalUnit,
  type Invoice,
  intervalUnits,
  type Order,
  type OrderPurpose,
  type Payment,
  type PaymentEvent,
  type Refund,
  type Subscription,
} from '@seatbelt/domain'

/** What is read of a payment and of a refund where a statement is our own, under the names that Prisma's rows have. */
export const paymentColumns = Prisma.sql`
           id, account_id AS "accountId", order_id AS "orderId", amount_minor AS "amountMinor", currency,
           payment_method AS "paymentMethod", state::text, decline_code AS "declineCode", declined_by AS "declinedBy", generation, looks,
           gateway_intent_id AS "gatewayIntentId", intent_parameters AS "intentParameters",
           goal, refunded_minor AS "refundedMinor", refund_pending_minor AS "refundPendingMinor",
           create_attempt AS "createAttempt", confirm_attempt AS "confirmAttempt", capture_attempt AS "captureAttempt",
           cancel_attempt AS "cancelAttempt", created_at AS "createdAt", authorized_at AS "authorizedAt",
           settled_at AS "settledAt"`
export const refundColumns = Prisma.sql`
           id, account_id AS "accountId", order_id AS "orderId", payment_id AS "paymentId", origin,
           amount_minor AS "amountMinor", currency, reason, state::text, failure_code AS "failureCode", generation, looks,
           gateway_intent_id AS "gatewayIntentId", gateway_refund_id AS "gatewayRefundId", refund_attempt AS "refundAttempt",
           created_at AS "createdAt", settled_at AS "settledAt", reversed_at AS "reversedAt"`

/** Rows as the domain knows them. The columns of leases and keys stay behind. */

export function toOrder(row: OrderRow): Order {
  return { ...row, purpose: toPurpose(row.purpose), currency: toCurrency(row.currency) }
}

export function toPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    accountId: row.accountId,
    orderId: row.orderId,
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    paymentMethod: row.paymentMethod,
    state: row.state,
    // While a payment is open, a noted decline is not final: its intent has not been seen cancelled.
    declineCode: row.state === 'declined' || row.state === 'voided' ? row.declineCode : null,
    gatewayIntentId: row.gatewayIntentId,
    refundedMinor: row.refundedMinor,
    refundPendingMinor: row.refundPendingMinor,
    createdAt: row.createdAt,
    authorizedAt: row.authorizedAt,
    settledAt: row.settledAt,
  }
}

export function toPaymentEvent(row: PaymentEventRow): PaymentEvent {
  const { at, event, by, generation, gatewayRequestId, detail, refundId } = row
  return { at, event, by, generation, gatewayRequestId, detail, refundId }
}

export function toRefund(row: RefundRow): Refund {
  return {
    id: row.id,
    accountId: row.accountId,
    orderId: row.orderId,
    paymentId: row.paymentId,
    origin: row.origin === 'reconciliation' ? 'reconciliation' : 'merchant',
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    reason: row.reason,
    state: row.state,
    failureCode: row.failureCode,
    createdAt: row.createdAt,
    settledAt: row.settledAt,
    reversedAt: row.reversedAt,
  }
}

export function toSubscription(row: SubscriptionRow): Subscription {
  return {
    id: row.id,
    accountId: row.accountId,
    customerId: row.customerId,
    gatewayCustomerId: row.gatewayCustomerId,
    paymentMethod: row.paymentMethod,
    receiptEmail: row.receiptEmail,
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    interval: { unit: toIntervalUnit(row.intervalUnit), count: row.intervalCount },
    timeZone: row.timeZone,
    // A wall time, which the driver brings as if it were of UTC.
    anchor: row.anchor.toISOString().slice(0, 19),
    state: row.state,
    nextPeriod: row.nextPeriod,
    nextDueAt: row.nextDueAt,
    version: row.version,
    createdAt: row.createdAt,
  }
}

export function toInvoice(row: InvoiceRow): Invoice {
  const { id, subscriptionId, period, dueAt, orderId, state, declines, nextTryAt, settledAt } = row
  return { id, subscriptionId, period, dueAt, orderId, state, declines, nextTryAt, settledAt }
}

function toIntervalUnit(unit: string): IntervalUnit {
  const known = intervalUnits.find((name) => name === unit)
  if (known === undefined)
    throw new Error(`the database holds an interval of ${unit}s, which this version does not know`)
  return known
}

export function toPurpose(purpose: string): OrderPurpose {
  if (purpose === 'merchant' || purpose === 'invoice' || purpose === 'checkout') return purpose
  throw new Error(`the database holds an order for ${purpose}, which this version does not know`)
}

const known = new Map<string, Currency>(currencies.map((currency) => [currency, currency]))

export function toCurrency(code: string): Currency {
  const currency = known.get(code)
  if (currency === undefined)
    throw new Error(`the database holds the currency ${code}, which this version does not know`)
  return currency
}
