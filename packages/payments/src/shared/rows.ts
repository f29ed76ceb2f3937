import type {
  Dispute as DisputeRow,
  Invoice as InvoiceRow,
  Order as OrderRow,
  PaymentEvent as PaymentEventRow,
  Payment as PaymentRow,
  Refund as RefundRow,
  Subscription as SubscriptionRow,
} from '@seatbelt/database'
import {
  type Currency,
  currencies,
  type DeclinedBy,
  type Dispute,
  type DisputeState,
  type Invoice,
  intervalUnits,
  missedPeriodPolicies,
  type Order,
  type OrderPurpose,
  type Payment,
  type PaymentEvent,
  type Refund,
  refundOrigins,
  type Subscription,
} from '@seatbelt/domain'

/** Rows as the domain knows them. The columns of leases and keys stay behind. */

export function toOrder(row: Omit<OrderRow, 'gatewayReference'>): Order {
  return {
    id: row.id,
    accountId: row.accountId,
    customerId: row.customerId,
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    state: row.state,
    purpose: toPurpose(row.purpose),
    receiptEmail: row.receiptEmail,
    version: row.version,
    createdAt: row.createdAt,
  }
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
    declinedBy: row.state === 'declined' ? toDeclinedBy(row.declinedBy) : null,
    gatewayIntentId: row.gatewayIntentId,
    capturedMinor: row.state === 'succeeded' ? (row.capturedMinor ?? row.amountMinor) : 0,
    refundedMinor: row.refundedMinor,
    refundPendingMinor: row.refundPendingMinor,
    disputeState: toDisputeState(row.disputeState),
    disputedMinor: row.disputedMinor,
    createdAt: row.createdAt,
    authorizedAt: row.authorizedAt,
    settledAt: row.settledAt,
  }
}

/** A constraint of the table holds that it is one of these. */
export function toDeclinedBy(declinedBy: string | null): DeclinedBy | null {
  return declinedBy as DeclinedBy | null
}

/** A constraint of the table of disputes holds that it is one of these. */
export function toDisputeState(state: string | null): DisputeState | null {
  return state as DisputeState | null
}

export function toDispute(row: DisputeRow): Dispute {
  return {
    id: row.id,
    accountId: row.accountId,
    paymentId: row.paymentId,
    gatewayDisputeId: row.gatewayDisputeId,
    state: row.state as DisputeState,
    gatewayStatus: row.gatewayStatus,
    reason: row.reason,
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    withdrawnMinor: row.withdrawnMinor,
    reinstatedMinor: row.reinstatedMinor,
    respondBy: row.respondBy,
    openedAt: row.openedAt,
  }
}

export function toPaymentEvent(row: PaymentEventRow): PaymentEvent {
  const { at, event, by, generation, gatewayRequestId, detail, gatewayMessage, refundId } = row
  return { at, event, by, generation, gatewayRequestId, detail, gatewayMessage, refundId }
}

export function toRefund(row: RefundRow): Refund {
  return {
    id: row.id,
    accountId: row.accountId,
    orderId: row.orderId,
    paymentId: row.paymentId,
    origin: known(refundOrigins, row.origin, `a refund made by ${row.origin}`),
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
    missedPeriods: known(missedPeriodPolicies, row.missedPeriods, `the policy ${row.missedPeriods}`),
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    interval: {
      unit: known(intervalUnits, row.intervalUnit, `an interval of ${row.intervalUnit}s`),
      count: row.intervalCount,
    },
    timeZone: row.timeZone,
    // A wall time, which the driver brings as if it were of UTC.
    anchor: row.anchor.toISOString().slice(0, 19),
    state: row.state,
    pausedBecause: row.pausedBecause,
    nextPeriod: row.nextPeriod,
    nextDueAt: row.nextDueAt,
    version: row.version,
    createdAt: row.createdAt,
  }
}

export function toInvoice(row: InvoiceRow): Invoice {
  const { id, subscriptionId, period, dueAt, orderId, state, declines, refusals, nextTryAt, settledAt } = row
  return { id, subscriptionId, period, dueAt, orderId, state, declines, refusals, nextTryAt, settledAt }
}

export function toPurpose(purpose: string): OrderPurpose {
  return known(['merchant', 'invoice', 'checkout'], purpose, `an order for ${purpose}`)
}

export function toCurrency(code: string): Currency {
  return known(currencies, code, `the currency ${code}`)
}

function known<Value extends string>(values: readonly Value[], stored: string, what: string): Value {
  const found = values.find((value) => value === stored)
  if (found === undefined) throw new Error(`the database holds ${what}, which this version does not know`)
  return found
}
