import { describe, expect, it } from 'vitest'
import {
  decideToExtend,
  decideToUse,
  type HoldState,
  type HoldToDecide,
  holdAfterFailedCheckout,
  mostCheckouts,
} from '../src/index.ts'

const hold = (state: HoldState, overrides: Partial<HoldToDecide> = {}): HoldToDecide => ({
  ...{ id: 'hold', customerId: 'customer', state, extended: false, orderId: null, bookingId: null },
  ...{ expiresAt: new Date(0), lapsed: false, isInReview: false, ...overrides },
})

const states = ['active', 'checking_out', 'booked', 'released', 'expired'] as const satisfies readonly HoldState[]

describe('a hold', () => {
  it.each([
    { state: 'active', use: 'use', extend: 'extend' },
    { state: 'checking_out', use: 'hold-checking-out', extend: 'hold-checking-out' },
    { state: 'booked', use: 'hold-booked', extend: 'hold-booked' },
    { state: 'released', use: 'hold-released', extend: 'hold-released' },
    { state: 'expired', use: 'hold-expired', extend: 'hold-expired' },
  ] as const)('that is $state answers its customer with $use, and an extension with $extend', (row) => {
    expect(decideToUse(hold(row.state), 'customer').code).toBe(row.use)
    expect(decideToExtend(hold(row.state), 'customer').code).toBe(row.extend)
  })

  it('has expired when its time is over, whether or not somebody wrote that down', () => {
    expect(decideToUse(hold('active', { lapsed: true }), 'customer')).toEqual({ code: 'hold-expired', holdId: 'hold' })
    expect(decideToExtend(hold('active', { lapsed: true }), 'customer').code).toBe('hold-expired')
  })

  it('does not lapse while it is being paid for, nor after it was booked', () => {
    expect(decideToUse(hold('checking_out', { lapsed: true }), 'customer').code).toBe('hold-checking-out')
    expect(decideToUse(hold('booked', { lapsed: true }), 'customer').code).toBe('hold-booked')
  })

  it.each(states)('that is %s tells another customer nothing but that it is not theirs', (state) => {
    const refusal = { code: 'hold-of-another-customer', holdId: 'hold' }
    for (const lapsed of [false, true]) {
      expect(decideToUse(hold(state, { lapsed, bookingId: 'booking' }), 'other')).toEqual(refusal)
      expect(decideToExtend(hold(state, { lapsed, extended: true }), 'other')).toEqual(refusal)
    }
  })

  it('that was booked names its booking', () => {
    const booked = hold('booked', { bookingId: 'booking' })
    expect(decideToUse(booked, 'customer')).toEqual({ code: 'hold-booked', holdId: 'hold', bookingId: 'booking' })
  })

  it('that is being paid for says when to ask again', () => {
    expect(decideToUse(hold('checking_out'), 'customer')).toMatchObject({ retryAfterSeconds: 1 })
    expect(decideToUse(hold('checking_out', { isInReview: true }), 'customer')).toEqual({
      code: 'hold-in-review',
      holdId: 'hold',
    })
  })

  it('is extended once, and used as often as one likes', () => {
    const extended = hold('active', { extended: true })
    expect(decideToExtend(extended, 'customer')).toEqual({ code: 'hold-extended-before', holdId: 'hold' })
    expect(decideToUse(extended, 'customer').code).toBe('use')
  })

  it('that was extended before and is over hears that it is over', () => {
    expect(decideToExtend(hold('active', { extended: true, lapsed: true }), 'customer').code).toBe('hold-expired')
  })

  it('goes on after the first and the second card that was declined, and is over with the third', () => {
    expect(mostCheckouts).toBe(3)
    expect([1, 2, 3].map(holdAfterFailedCheckout)).toEqual(['active', 'active', 'expired'])
  })
})
