import { describe, expect, it } from 'vitest'
import { decideToCancel, decideToPay, type Order, type OrderState, orderStateAfter } from '../src/index.ts'

const order = (state: OrderState): Order => ({
  ...{ id: 'order', accountId: 'account', customerId: 'customer', amountMinor: 1, currency: 'EUR' },
  ...{ state, version: 0, createdAt: new Date(0) },
})

describe('an order', () => {
  it.each([
    { state: 'pending', pay: 'pay', cancel: 'cancel' },
    { state: 'processing', pay: 'payment-in-progress', cancel: 'payment-in-progress' },
    { state: 'paid', pay: 'order-already-paid', cancel: 'order-already-paid' },
    { state: 'cancelled', pay: 'order-cancelled', cancel: 'order-cancelled' },
  ] as const)(
    'that is $state answers a payment with $pay and a cancellation with $cancel',
    ({ state, pay, cancel }) => {
      expect(decideToPay(order(state), null).code).toBe(pay)
      expect(decideToCancel(order(state), null).code).toBe(cancel)
    },
  )

  it('that is paid names the payment that paid it', () => {
    expect(decideToPay(order('paid'), { id: 'payment', state: 'succeeded' })).toMatchObject({ paymentId: 'payment' })
  })

  it('is paid by success alone; anything else opens it again', () => {
    expect(orderStateAfter({ state: 'succeeded', gatewayChargeId: 'ch' })).toBe('paid')
    expect(orderStateAfter({ state: 'declined', declineCode: 'x' })).toBe('pending')
    expect(orderStateAfter({ state: 'cancelled' })).toBe('pending')
  })
})
