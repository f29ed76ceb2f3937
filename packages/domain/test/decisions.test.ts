import { describe, expect, it } from 'vitest'
import {
  decideToCancel,
  decideToEndAuthorization,
  decideToPay,
  decideToRefund,
  type Order,
  type OrderState,
  orderStateAfter,
  type PaymentState,
} from '../src/index.ts'

const order = (state: OrderState, overrides: Partial<Order> = {}): Order => ({
  ...{ id: 'order', accountId: 'account', customerId: 'customer', amountMinor: 1, currency: 'EUR' },
  ...{ state, purpose: 'merchant', receiptEmail: null, version: 0, createdAt: new Date(0) },
  ...overrides,
})

describe('an order', () => {
  it.each([
    { state: 'pending', pay: 'pay', cancel: 'cancel' },
    { state: 'processing', pay: 'payment-in-progress', cancel: 'payment-in-progress' },
    { state: 'paid', pay: 'order-already-paid', cancel: 'order-already-paid' },
    { state: 'partially_refunded', pay: 'order-already-paid', cancel: 'order-already-paid' },
    { state: 'refunded', pay: 'order-already-paid', cancel: 'order-already-paid' },
    { state: 'cancelled', pay: 'order-cancelled', cancel: 'order-cancelled' },
  ] as const)(
    'that is $state answers a payment with $pay and a cancellation with $cancel',
    ({ state, pay, cancel }) => {
      expect(decideToPay(order(state), null).code).toBe(pay)
      expect(decideToCancel(order(state), null).code).toBe(cancel)
    },
  )

  it.each([
    { live: 'authorized', code: 'payment-authorized' },
    { live: 'needs_review', code: 'payment-in-review' },
    { live: 'processing', code: 'payment-in-progress' },
    { live: 'capturing', code: 'payment-in-progress' },
    { live: 'voiding', code: 'payment-in-progress' },
  ] as const)('whose payment is $live says so, and when to ask again only where waiting helps', ({ live, code }) => {
    const payment = { id: 'payment', state: live }
    for (const decide of [decideToPay, decideToCancel]) {
      const decision = decide(order('processing'), payment)
      expect(decision.code).toBe(code)
      expect('retryAfterSeconds' in decision).toBe(code === 'payment-in-progress')
    }
  })

  it('that is paid names the payment that paid it', () => {
    expect(decideToPay(order('paid'), { id: 'payment', state: 'succeeded' })).toMatchObject({ paymentId: 'payment' })
  })

  it('is paid by success alone, waits while the amount is only on hold, and is open again after anything else', () => {
    expect(orderStateAfter({ state: 'succeeded', gatewayChargeId: 'ch', capturedMinor: 1 })).toBe('paid')
    expect(orderStateAfter({ state: 'authorized' })).toBe('processing')
    expect(orderStateAfter({ state: 'declined', declineCode: 'x', declinedBy: 'bank' })).toBe('pending')
    expect(orderStateAfter({ state: 'cancelled' })).toBe('pending')
    expect(orderStateAfter({ state: 'voided', declineCode: null })).toBe('pending')
  })

  it('of an invoice is paid and cancelled by the billing run alone, whatever its state', () => {
    const invoice = order('pending', { purpose: 'invoice' })
    expect(decideToPay(invoice, null).code).toBe('order-managed')
    expect(decideToCancel(invoice, null).code).toBe('order-managed')
    expect(decideToPay(invoice, null, 'invoice').code).toBe('pay')
    expect(decideToPay(order('pending'), null, 'invoice').code).toBe('order-managed')
  })
})

describe('a hold', () => {
  it.each([
    { state: 'authorized', code: 'end-authorization' },
    { state: 'processing', code: 'payment-in-progress' },
    { state: 'capturing', code: 'payment-in-progress' },
    { state: 'voiding', code: 'payment-in-progress' },
    { state: 'needs_review', code: 'payment-in-review' },
    { state: 'succeeded', code: 'payment-not-authorized' },
    { state: 'declined', code: 'payment-not-authorized' },
    { state: 'cancelled', code: 'payment-not-authorized' },
    { state: 'voided', code: 'payment-not-authorized' },
  ] satisfies { state: PaymentState; code: string }[])(
    'of a payment that is $state is captured or voided: $code',
    ({ state, code }) => {
      expect(decideToEndAuthorization({ id: 'payment', orderId: 'order', state }).code).toBe(code)
    },
  )
})

describe('a refund', () => {
  const payment = {
    id: 'payment',
    currency: 'ISK',
    state: 'succeeded',
    capturedMinor: 4_250,
    refundedMinor: 1_000,
    refundPendingMinor: 1_000,
    disputeState: null,
    disputedMinor: 0,
  } as const

  it.each([
    [100, 'refund'],
    [150, 'refund-between-units'],
    [2_249, 'refund-between-units'],
    [2_300, 'refund-exceeds-payment'],
    // All that is left, of an amount that an earlier version took.
    [2_250, 'refund'],
    [null, 'refund'],
  ] as const)('of %s in whole units of a currency without hundredths: %s', (askedMinor, code) => {
    expect(decideToRefund(payment, askedMinor, 2).code).toBe(code)
  })

  it.each([
    ['open', 0],
    ['lost', 2_250],
    ['won', 2_250],
    ['won', 100],
  ] as const)(
    'while its dispute is %s and %i stay withdrawn: is refused as disputed',
    (disputeState, disputedMinor) => {
      const refusal = { code: 'payment-disputed', paymentId: 'payment', disputeState }
      expect(decideToRefund({ ...payment, disputeState, disputedMinor }, null, 2)).toEqual(refusal)
    },
  )

  it('after a dispute that was won and has given the money back is of all that is left', () => {
    const decision = decideToRefund({ ...payment, disputeState: 'won' }, null, 2)
    expect(decision).toEqual({ code: 'refund', amountMinor: 2_250 })
  })

  it('between two units names those that would be returned, and none that is not left', () => {
    const between = { code: 'refund-between-units', paymentId: 'payment', currency: 'ISK', unitMinor: 100 }
    expect(decideToRefund(payment, 150, 0)).toEqual({ ...between, nearestMinor: [100, 200] })
    expect(decideToRefund(payment, 50, 0)).toEqual({ ...between, nearestMinor: [100] })
    expect(decideToRefund(payment, 2_249, 0)).toEqual({ ...between, nearestMinor: [2_200] })
  })

  it('outside of the gateway is of any amount up to what is left', () => {
    expect(decideToRefund(payment, 150, null)).toEqual({ code: 'refund', amountMinor: 150 })
    expect(decideToRefund(payment, 2_251, null)).toMatchObject({ code: 'refund-exceeds-payment' })
  })
})
