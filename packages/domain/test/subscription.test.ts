import { describe, expect, it } from 'vitest'
import { decideAboutInvoice, decideToChange, maxDeclines, type PaymentOutcome } from '../src/index.ts'

const declined: PaymentOutcome = { state: 'declined', declineCode: 'insufficient_funds', declinedBy: 'bank' }
const active = { subscription: 'active', isMethodReplaced: false } as const
const succeeded: PaymentOutcome = { state: 'succeeded', gatewayChargeId: 'ch_1' }

describe('what a try to charge it makes of an invoice', () => {
  it('paid: it is settled, whatever was declined before', () => {
    expect(decideAboutInvoice({ declines: 2, ...active }, succeeded)).toMatchObject({
      ...{ invoice: 'paid', declines: 2, order: 'paid', subscription: 'active' },
    })
  })

  it.each([
    { declines: 0, retryAfterDays: 1 },
    { declines: 1, retryAfterDays: 6 },
  ])('declined after $declines: it stays open, and is tried again $retryAfterDays days later', (before) => {
    expect(decideAboutInvoice({ declines: before.declines, ...active }, declined)).toEqual({
      ...{ invoice: 'open', declines: before.declines + 1, retryAfterDays: before.retryAfterDays },
      ...{ order: 'pending', subscription: 'active' },
    })
  })

  it('declined for the third time: it is given up, and its subscription is past due', () => {
    expect(decideAboutInvoice({ declines: maxDeclines - 1, ...active }, declined)).toEqual({
      ...{ invoice: 'uncollectible', declines: maxDeclines, retryAfterDays: null },
      ...{ order: 'cancelled', subscription: 'past_due' },
    })
  })

  it.each([
    { state: 'cancelled' },
    { state: 'voided', declineCode: 'charge_expired_for_capture' },
    { state: 'declined', declineCode: 'parameter_unknown', declinedBy: 'gateway' },
    { state: 'declined', declineCode: 'resource_missing', declinedBy: 'payment-method' },
  ] as const)('$state, not by the bank: that is no decline', (outcome) => {
    expect(decideAboutInvoice({ declines: 2, ...active }, outcome)).toEqual({
      ...{ invoice: 'open', declines: 2, retryAfterDays: null, order: 'pending', subscription: 'active' },
    })
  })

  it('declined of a payment method that was replaced meanwhile: it says nothing of the new one', () => {
    expect(decideAboutInvoice({ declines: 2, ...active, isMethodReplaced: true }, declined)).toEqual({
      ...{ invoice: 'open', declines: 2, retryAfterDays: null, order: 'pending', subscription: 'active' },
    })
  })

  it.each([declined, { state: 'cancelled' } as const])(
    '$state after its subscription was cancelled: given up',
    (outcome) => {
      expect(
        decideAboutInvoice({ declines: 0, subscription: 'cancelled', isMethodReplaced: false }, outcome),
      ).toMatchObject({
        ...{ invoice: 'uncollectible', order: 'cancelled', subscription: 'cancelled' },
      })
    },
  )

  it('paid after its subscription was cancelled: what was taken is taken', () => {
    expect(
      decideAboutInvoice({ declines: 0, subscription: 'cancelled', isMethodReplaced: false }, succeeded),
    ).toMatchObject({
      ...{ invoice: 'paid', order: 'paid', subscription: 'cancelled' },
    })
  })
})

it('a subscription that was cancelled is changed no more', () => {
  expect(decideToChange({ id: 's', state: 'past_due' })).toEqual({ code: 'change' })
  expect(decideToChange({ id: 's', state: 'cancelled' })).toEqual({
    ...{ code: 'subscription-cancelled', subscriptionId: 's' },
  })
})
