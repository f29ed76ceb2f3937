import { describe, expect, it } from 'vitest'
import {
  type BookingState,
  decideToCancel,
  decideToCancelBooking,
  decideToPay,
  type Order,
  orderStateAfter,
} from '../src/index.ts'

describe('a booking', () => {
  it.each([
    { state: 'confirmed', code: 'cancel' },
    { state: 'pending', code: 'booking-in-progress' },
    { state: 'cancelling', code: 'booking-in-progress' },
    { state: 'cancelled', code: 'booking-cancelled' },
  ] satisfies { state: BookingState; code: string }[])('that is $state answers a cancellation with $code', (row) => {
    expect(decideToCancelBooking({ id: 'booking', state: row.state }, false).code).toBe(row.code)
  })

  it.each(['pending', 'cancelling'] as const)(
    'whose money is on its way (%s) says when to ask again, or that an operator is at it',
    (state) => {
      expect(decideToCancelBooking({ id: 'booking', state }, false)).toEqual({
        code: 'booking-in-progress',
        bookingId: 'booking',
        retryAfterSeconds: 1,
      })
      expect(decideToCancelBooking({ id: 'booking', state }, true)).toEqual({
        code: 'booking-in-review',
        bookingId: 'booking',
      })
    },
  )
})

describe('the order of a checkout', () => {
  const order: Order = {
    ...{ id: 'order', accountId: 'account', customerId: 'customer', amountMinor: 1, currency: 'EUR', state: 'pending' },
    ...{ purpose: 'checkout', receiptEmail: null, version: 0, createdAt: new Date(0) },
  }

  it.each(['pending', 'processing', 'paid', 'refunded', 'cancelled'] as const)(
    'is paid and cancelled by its checkout alone, also while it is %s',
    (state) => {
      expect(decideToPay({ ...order, state }, null).code).toBe('order-managed')
      expect(decideToPay({ ...order, state }, null, 'invoice').code).toBe('order-managed')
      expect(decideToCancel({ ...order, state }, null).code).toBe('order-managed')
    },
  )

  it('is paid by success, waits while the amount is on hold, and has no second try after anything else', () => {
    expect(orderStateAfter({ state: 'succeeded', gatewayChargeId: 'ch', capturedMinor: 1 }, 'checkout')).toBe('paid')
    expect(orderStateAfter({ state: 'authorized' }, 'checkout')).toBe('processing')
    expect(orderStateAfter({ state: 'declined', declineCode: 'x', declinedBy: 'bank' }, 'checkout')).toBe('cancelled')
    expect(orderStateAfter({ state: 'cancelled' }, 'checkout')).toBe('cancelled')
    expect(orderStateAfter({ state: 'voided', declineCode: null }, 'checkout')).toBe('cancelled')
  })
})
