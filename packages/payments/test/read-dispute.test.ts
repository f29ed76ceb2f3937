import type Stripe from 'stripe'
import { expect, it } from 'vitest'
import { readDispute } from '../src/index.ts'

function wire(movements: readonly { amount: number; currency?: string }[], more: object = {}): Stripe.Dispute {
  const balance = movements.map(({ amount, currency = 'eur' }) => ({ amount, currency }))
  const words = { id: 'dp_1', object: 'dispute', status: 'needs_response', reason: 'fraudulent', currency: 'eur' }
  const numbers = { amount: 4_200, created: 1_700_000_000, evidence_details: { due_by: 1_700_000_100 } }
  const of = { payment_intent: 'pi_1', is_charge_refundable: false, balance_transactions: balance }
  return { ...words, ...numbers, ...of, ...more } as unknown as Stripe.Dispute
}

it.each([
  ['nothing', [], { withdrawnMinor: 0, reinstatedMinor: 0 }],
  ['a withdrawal', [{ amount: -4_200 }], { withdrawnMinor: 4_200, reinstatedMinor: 0 }],
  ['a part given back', [{ amount: -4_200 }, { amount: 1_200 }], { withdrawnMinor: 4_200, reinstatedMinor: 1_200 }],
  ['more given back than taken', [{ amount: -4_200 }, { amount: 4_300 }], null],
  ['a withdrawal in dollars', [{ amount: -4_600, currency: 'usd' }], { withdrawnMinor: 4_200, reinstatedMinor: 0 }],
  [
    'all given back in dollars',
    [
      { amount: -4_600, currency: 'usd' },
      { amount: 4_600, currency: 'usd' },
    ],
    { withdrawnMinor: 4_200, reinstatedMinor: 4_200 },
  ],
  [
    'a part given back in dollars, which tells nothing about euros',
    [
      { amount: -4_600, currency: 'usd' },
      { amount: 1_300, currency: 'usd' },
    ],
    null,
  ],
])('of a dispute of 42.00 EUR that shows %s, the movements are read', (_, movements, moved) => {
  expect(readDispute(wire(movements))).toMatchObject({ currency: 'EUR', amountMinor: 4_200, moved })
})

it('keeps a status of a later version, and rejects an object that is no dispute', () => {
  expect(readDispute(wire([], { status: 'a status of next year' }))).toMatchObject({ status: 'a status of next year' })
  expect(readDispute(wire([], { object: 'charge' }))).toBeNull()
  expect(readDispute(wire([], { amount: '42' }))).toBeNull()
  expect(readDispute(wire([], { evidence_details: { due_by: 0 } }))).toMatchObject({ respondBy: null })
})
