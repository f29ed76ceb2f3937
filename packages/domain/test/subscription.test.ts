import { describe, expect, it } from 'vitest'
import {
  decideAboutInvoice,
  decideToChange,
  type InvoiceTried,
  maxDeclines,
  maxRefusals,
  mayChargePeriod,
  type PaymentOutcome,
} from '../src/index.ts'

const declined = { state: 'declined', declineCode: 'insufficient_funds', declinedBy: 'bank' } as const
const succeeded: PaymentOutcome = { state: 'succeeded', gatewayChargeId: 'ch_1', capturedMinor: 1 }
const refused: PaymentOutcome = { state: 'declined', declineCode: 'resource_missing', declinedBy: 'gateway' }

function tried(changes: Partial<InvoiceTried> = {}): InvoiceTried {
  const counts = { declines: 0, refusals: 0, missedPeriods: 'collect' } as const
  return { ...counts, subscription: 'active', isMethodReplaced: false, ...changes }
}

describe('the effect of a try on an invoice', () => {
  it('paid: it is settled, whatever was declined before', () => {
    expect(decideAboutInvoice(tried({ declines: 2 }), succeeded)).toMatchObject({
      ...{ invoice: 'paid', declines: 2, order: 'paid', subscription: 'active' },
    })
  })

  it('paid while its subscription is past due: that is active again', () => {
    const after = decideAboutInvoice(tried({ declines: 3, subscription: 'past_due' }), succeeded)
    expect(after).toMatchObject({ invoice: 'paid', subscription: 'active' })
  })

  it.each([
    { declines: 0, afterHours: 24 },
    { declines: 1, afterHours: 144 },
  ])(
    'declined after $declines: it stays open, and is tried again $afterHours hours later',
    ({ declines, afterHours }) => {
      expect(decideAboutInvoice(tried({ declines }), declined)).toEqual({
        ...{ invoice: 'open', declines: declines + 1, refusals: 0, retry: { afterHours } },
        ...{ order: 'pending', subscription: 'active' },
      })
    },
  )

  it.each([
    { missedPeriods: 'collect', invoice: 'open', order: 'pending' },
    { missedPeriods: 'skip', invoice: 'uncollectible', order: 'cancelled' },
  ] as const)(
    'declined for the third time ($missedPeriods): it is $invoice, and its subscription past due',
    (policy) => {
      const { missedPeriods, invoice, order } = policy
      expect(decideAboutInvoice(tried({ declines: maxDeclines - 1, missedPeriods }), declined)).toEqual({
        ...{ invoice, declines: maxDeclines, refusals: 0, retry: 'never', order, subscription: 'past_due' },
      })
    },
  )

  it('declined by a code that another try cannot change: it is not tried again', () => {
    expect(decideAboutInvoice(tried(), { ...declined, declineCode: 'lost_card' })).toMatchObject({
      ...{ invoice: 'open', declines: 1, retry: 'never', subscription: 'past_due' },
    })
  })

  it('refused because of its payment method: only another one can succeed', () => {
    const outcome = { state: 'declined', declineCode: 'resource_missing', declinedBy: 'payment-method' } as const
    expect(decideAboutInvoice(tried(), outcome)).toMatchObject({
      ...{ invoice: 'open', declines: 0, refusals: 1, retry: 'never', subscription: 'past_due' },
    })
  })

  it.each([{ state: 'cancelled' }, { state: 'voided', declineCode: null }, refused] as const)(
    '$state, not by the bank: that is no decline, and the waits grow up to a bound',
    (outcome) => {
      const retries = Array.from({ length: maxRefusals + 1 }, (_, refusals) => {
        const { retry, ...after } = decideAboutInvoice(tried({ declines: 2, refusals }), outcome)
        expect(after).toMatchObject({ invoice: 'open', declines: 2, refusals: Math.min(refusals + 1, maxRefusals) })
        return typeof retry === 'object' ? retry.afterHours : retry
      })
      expect(retries).toEqual([1, 4, 12, 24, 48, 'never', 'never'])
    },
  )

  it.each([declined, refused])(
    'of a payment method that was replaced meanwhile: it says nothing of the new one',
    (of) => {
      expect(decideAboutInvoice(tried({ declines: 2, isMethodReplaced: true }), of)).toEqual({
        ...{ invoice: 'open', declines: 2, refusals: 0, retry: 'due', order: 'pending', subscription: 'active' },
      })
    },
  )

  it.each([declined, { state: 'cancelled' } as const])(
    '$state after its subscription was cancelled: given up',
    (outcome) => {
      expect(decideAboutInvoice(tried({ subscription: 'cancelled' }), outcome)).toMatchObject({
        ...{ invoice: 'uncollectible', order: 'cancelled', subscription: 'cancelled' },
      })
    },
  )

  it('paid after its subscription was cancelled: what was taken is taken', () => {
    expect(decideAboutInvoice(tried({ subscription: 'cancelled' }), succeeded)).toMatchObject({
      ...{ invoice: 'paid', order: 'paid', subscription: 'cancelled' },
    })
  })
})

describe('one charge a day', () => {
  const at = (time: string) => ({ at: new Date(`${time}Z`), day: time.slice(0, 10) })
  const dueAt = new Date('2026-01-02T09:00:00Z')

  it.each([
    { last: '2026-01-01T09:00:05', now: '2026-01-02T09:00:00', may: true, what: 'the next period, a day later' },
    { last: '2026-01-02T08:59:00', now: '2026-01-02T09:00:00', may: false, what: 'another one of the same day' },
    { last: '2026-01-02T23:00:00', now: '2026-01-03T00:00:00', may: false, what: 'a missed one, after midnight' },
    { last: '2026-01-02T23:00:00', now: '2026-01-03T23:00:00', may: true, what: 'a missed one, 24 hours later' },
  ])('$what: $may', ({ last, now, may }) => {
    expect(mayChargePeriod(dueAt, at(last), at(now))).toBe(may)
  })

  it('does not hold up the first charge', () => {
    expect(mayChargePeriod(dueAt, null, at('2026-01-05T00:00:00'))).toBe(true)
  })
})

it('a subscription that was cancelled is changed no more', () => {
  expect(decideToChange({ id: 's', state: 'past_due' })).toEqual({ code: 'change' })
  expect(decideToChange({ id: 's', state: 'cancelled' })).toEqual({
    ...{ code: 'subscription-cancelled', subscriptionId: 's' },
  })
})
