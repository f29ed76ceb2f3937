import { describe, expect, it } from 'vitest'
import {
  type ChargeInBooks,
  type ChargeSeen,
  decideCharge,
  decideRefund,
  type OrderOfCharge,
  type PaymentState,
  type RefundInBooks,
  type RefundSeen,
  type RefundState,
} from '../src/index.ts'

const charge = (overrides: Partial<ChargeSeen> = {}): ChargeSeen => ({
  ...{ id: 'ch_second', status: 'succeeded', amountMinor: 4_200, capturedMinor: 4_200, refundedMinor: 0 },
  currency: 'EUR',
  ...overrides,
})
const first = (overrides: Partial<NonNullable<OrderOfCharge['paidBy']>> = {}) => ({
  ...{ gatewayChargeId: 'ch_first', amountMinor: 4_200, refundedMinor: 0, disputedMinor: 0, isDisputeOpen: false },
  ...overrides,
})
const order = (overrides: Partial<OrderOfCharge> = {}): OrderOfCharge => ({
  ...{ state: 'paid', amountMinor: 4_200, currency: 'EUR', isQuiet: true, repair: null },
  paidBy: first(),
  ...overrides,
})
const owner = (state: PaymentState): NonNullable<ChargeInBooks['owner']> => ({
  ...{ state, amountMinor: 4_200, currency: 'EUR' },
  gatewayChargeId: state === 'succeeded' ? 'ch_second' : null,
})

const brief = (verdict: ReturnType<typeof decideCharge>) =>
  verdict.kind === 'differs' ? `${verdict.difference.kind}: ${verdict.difference.action}` : verdict.kind

describe('a charge that one of our payments owns', () => {
  it.each([
    { state: 'processing', taken: 'left', held: 'left' },
    { state: 'capturing', taken: 'left', held: 'left' },
    { state: 'voiding', taken: 'left', held: 'left' },
    { state: 'needs_review', taken: 'left', held: 'left' },
    { state: 'authorized', taken: 'left', held: 'agrees' },
    { state: 'succeeded', taken: 'agrees', held: 'amount-differs: person' },
    { state: 'declined', taken: 'row-final-but-charged: person', held: 'uncaptured-orphan: cancel-intent' },
    { state: 'cancelled', taken: 'row-final-but-charged: person', held: 'uncaptured-orphan: cancel-intent' },
    { state: 'voided', taken: 'row-final-but-charged: person', held: 'uncaptured-orphan: cancel-intent' },
  ] as const)('that is $state: taken $taken, on hold $held, let go of: agrees', ({ state, taken, held }) => {
    const books = { owner: owner(state), order: order() }
    expect(brief(decideCharge(charge(), books))).toBe(taken)
    expect(brief(decideCharge(charge({ capturedMinor: 0 }), books))).toBe(held)
    expect(brief(decideCharge(charge({ capturedMinor: 0, refundedMinor: 4_200 }), books))).toBe('agrees')
    expect(brief(decideCharge(charge({ status: 'failed' }), books))).toBe('agrees')
  })
})

describe('money is given back', () => {
  const bools = [true, false]
  const states = ['pending', 'processing', 'paid', 'partially_refunded', 'refunded', 'cancelled'] as const
  const repairs = [null, 'processing', 'pending', 'succeeded', 'failed', 'needs_review'] as const
  const paidBys = [
    null,
    first({ gatewayChargeId: 'ch_second' }),
    ...[0, 1_000, 4_200].map((refundedMinor) => first({ refundedMinor })),
    ...[3_200, 4_200].map((disputedMinor) => first({ refundedMinor: 1_000, disputedMinor })),
    first({ isDisputeOpen: true }),
  ]
  const owners = [null, owner('succeeded'), owner('cancelled'), owner('processing')]
  const amounts = [0, 2_000, 4_200]

  it('only of a charge that nobody owns, that stands, for a quiet order that another charge pays and keeps, and once', () => {
    let given = 0
    for (const state of states)
      for (const isQuiet of bools)
        for (const repair of repairs)
          for (const paidBy of paidBys)
            for (const owned of owners)
              for (const capturedMinor of amounts)
                for (const refundedMinor of amounts.filter((amount) => amount <= capturedMinor)) {
                  const facts = { owner: owned, order: order({ state, isQuiet, repair, paidBy }) }
                  const verdict = decideCharge(charge({ capturedMinor, refundedMinor }), facts)
                  if (verdict.kind !== 'differs' || verdict.difference.action !== 'refund') continue
                  given++
                  expect(verdict.difference.gatewayMinor).toBe(capturedMinor - refundedMinor)
                  expect(verdict.difference.gatewayMinor).toBeGreaterThan(0)
                  expect(['paid', 'partially_refunded', 'refunded']).toContain(state)
                  expect({ owned, isQuiet, repair, charge: paidBy?.gatewayChargeId }).toEqual({
                    ...{ owned: null, isQuiet: true, repair: null, charge: 'ch_first' },
                  })
                  expect(paidBy?.isDisputeOpen).toBe(false)
                  expect((paidBy?.refundedMinor ?? 0) + (paidBy?.disputedMinor ?? 0)).toBeLessThan(4_200)
                }
    expect(given).toBeGreaterThan(0)
  })
})

describe('a charge that nobody owns', () => {
  it.each([
    { what: 'of an unpaid order', in: { state: 'pending', paidBy: null }, verdict: 'orphan-unpaid-order: adopt' },
    {
      what: 'of an unpaid order, after a repair',
      in: { state: 'pending', paidBy: null, repair: 'failed' },
      verdict: 'orphan-unpaid-order: person',
    },
    { what: 'of an order that is being paid', in: { state: 'processing', paidBy: null }, verdict: 'left' },
    { what: 'of an order that is not quiet', in: { isQuiet: false }, verdict: 'left' },
    {
      what: 'of a cancelled order',
      in: { state: 'cancelled', paidBy: null },
      verdict: 'orphan-cancelled-order: person',
    },
    { what: 'of a paid order', in: {}, verdict: 'charged-twice: refund' },
  ] as const)('$what: $verdict', ({ in: overrides, verdict }) => {
    expect(brief(decideCharge(charge(), { owner: null, order: order(overrides) }))).toBe(verdict)
  })

  it.each([
    { what: 'a part of it was given back', seen: { refundedMinor: 1 } },
    { what: 'another amount', seen: { capturedMinor: 4_199 } },
    { what: 'another currency', seen: { currency: 'USD' } },
  ])('is no payment of an order: $what', ({ seen }) => {
    const unpaid = order({ state: 'pending', paidBy: null })
    expect(brief(decideCharge(charge(seen), { owner: null, order: unpaid }))).toBe('orphan-unpaid-order: person')
  })

  it('and no order either is for a person; nothing of it left, for nobody', () => {
    expect(brief(decideCharge(charge(), { owner: null, order: null }))).toBe('orphan-unknown-order: person')
    expect(brief(decideCharge(charge({ refundedMinor: 4_200 }), { owner: null, order: null }))).toBe('agrees')
  })
})

describe('a refund of the gateway', () => {
  const seen = (status: RefundSeen['status'], overrides: Partial<RefundSeen> = {}): RefundSeen => ({
    ...{ id: 're_1', status, amountMinor: 500, currency: 'EUR' },
    ...overrides,
  })
  const ours = (state: RefundState, gatewayRefundId: string | null = 're_1'): RefundInBooks => ({
    row: { state, amountMinor: 500, currency: 'EUR', gatewayRefundId },
    ...{ isNamed: true, isOfOurCharge: true },
  })

  it.each([
    { state: 'processing', given: 'left', failed: 'left' },
    { state: 'pending', given: 'left', failed: 'left' },
    { state: 'needs_review', given: 'left', failed: 'left' },
    { state: 'succeeded', given: 'agrees', failed: 'refund-lost: reverse-refund' },
    { state: 'failed', given: 'refund-unbooked: person', failed: 'agrees' },
  ] as const)('of ours that is $state: given back $given, failed $failed', ({ state, given, failed }) => {
    expect(brief(decideRefund(seen('succeeded'), ours(state)))).toBe(given)
    expect(brief(decideRefund(seen('pending'), ours(state)))).toBe(given)
    expect(brief(decideRefund(seen('failed'), ours(state)))).toBe(failed)
    expect(brief(decideRefund(seen('canceled'), ours(state)))).toBe(failed)
  })

  it('that differs from ours, or is a second one of it, is for a person', () => {
    expect(brief(decideRefund(seen('succeeded', { amountMinor: 501 }), ours('succeeded')))).toBe(
      'refund-amount-differs: person',
    )
    expect(brief(decideRefund(seen('succeeded', { id: 're_2' }), ours('succeeded')))).toBe('refunded-twice: person')
    expect(brief(decideRefund(seen('failed', { id: 're_2' }), ours('succeeded')))).toBe('agrees')
  })

  it.each([
    { isNamed: true, isOfOurCharge: true, verdict: 'refund-unbooked: person' },
    { isNamed: true, isOfOurCharge: false, verdict: 'refund-unbooked: person' },
    { isNamed: false, isOfOurCharge: true, verdict: 'refunded-elsewhere: enter-refund' },
    { isNamed: false, isOfOurCharge: false, verdict: 'agrees' },
  ])('that our books do not have (%j)', ({ verdict, ...facts }) => {
    expect(brief(decideRefund(seen('succeeded'), { row: null, ...facts }))).toBe(verdict)
    expect(brief(decideRefund(seen('failed'), { row: null, ...facts }))).toBe('agrees')
  })
})
