import { describe, expect, it } from 'vitest'
import { conclude } from '../../src/demo/conclude.ts'
import type { LoadResult } from '../../src/demo/load-under-faults.ts'
import type { SaleResult } from '../../src/demo/sell-out-under-faults.ts'
import { controlResult, controlSale, goodResult, goodSale, judged } from './results.ts'

/** Of these payments, beside sales as they must be. */
function concluded(guarded: LoadResult | null, control: LoadResult | null) {
  return conclude({ guarded, control, sale: goodSale(), controlSale: controlSale() })
}

/** Of these sales, beside payments as they must be. */
function concludedSales(sale: SaleResult | null, ofControl: SaleResult | null = controlSale()) {
  return conclude({ guarded: goodResult(), control: controlResult(), sale, controlSale: ofControl })
}

it('is valid when the layers held, everything was met, and the control went wrong', () => {
  expect(concluded(goodResult(), controlResult())).toEqual({ verdict: 'valid', reasons: [] })
})

describe('is invalid', () => {
  it('with one violated invariant, whatever else is open', () => {
    const violated = {
      ...{ id: 'I1' as const, claim: 'no order twice', verdict: 'invalid' as const },
      ...{ checked: 1, violations: 1, examples: [] },
    }
    const conclusion = concluded(judged(goodResult(), { verdict: 'invalid', invariants: [violated] }), null)
    expect(conclusion).toEqual({ verdict: 'invalid', reasons: ['I1 is violated 1 times: no order twice'] })
  })

  it.each(['orders_charged_wrong', 'answers_unexpected', 'copies_unsettled'])(
    'when the load test counted %s',
    (metric) => {
      const result = goodResult()
      const summary = result.summary === null ? null : { ...result.summary, crossed: [metric] }
      expect(concluded({ ...result, outcome: 'failed', summary }, controlResult()).verdict).toBe('invalid')
    },
  )
})

describe('is unknown', () => {
  it.each(['overlappingPairs', 'replays', 'unknownOutcomes', 'recovered'] as const)('when %s is zero', (figure) => {
    const { verdict, reasons } = concluded(goodResult({ [figure]: 0 }), controlResult())
    expect([verdict, reasons.length]).toEqual(['unknown', 1])
  })

  it('when no replica was killed, or no answer lost', () => {
    expect(concluded({ ...goodResult(), kills: [] }, controlResult()).verdict).toBe('unknown')
    expect(concluded({ ...goodResult(), lostAnswers: 0 }, controlResult()).verdict).toBe('unknown')
    const kills = goodResult().kills.map((kill) => ({ ...kill, payments: 0 }))
    expect(concluded({ ...goodResult(), kills }, controlResult()).reasons).toEqual([
      'payments-api-2 was killed while it had no payment',
    ])
  })

  it('when nobody was killed while mail was on its way, or no mail came of it', () => {
    const calm = goodResult().mailKill
    const inTime = calm && { ...calm, messages: 0 }
    for (const mailKill of [null, inTime]) {
      expect(concluded({ ...goodResult(), mailKill }, controlResult()).reasons).toEqual([
        'no worker was killed while mail was on its way',
      ])
    }
    const figures = { sent: 260, duplicates: 0, duplicatesWithoutCause: 0, missing: 0 }
    expect(concluded(goodResult({ receipts: figures }), controlResult()).reasons).toEqual([
      'no receipt had to be sent again',
    ])
    expect(concluded(goodResult({ receipts: null }), controlResult()).verdict).toBe('unknown')
  })

  it('when the billing run had no leader to kill, nothing to bill, or did not come to its end', () => {
    const billing = { subscriptions: 60, leaderKill: null }
    expect(concluded({ ...goodResult(), billing }, controlResult()).reasons).toEqual([
      'no leader of the billing run was killed',
    ])
    expect(concluded(goodResult({ invoices: null }), controlResult()).reasons).toEqual(['no subscription fell due'])
    const half = { due: 60, charged: 30, chargedTwice: 0 }
    expect(concluded(goodResult({ invoices: half }), controlResult()).reasons).toEqual([
      'of 60 periods that were due, 30 were charged',
    ])
  })

  it('when the control charged no period twice', () => {
    const once = { due: 20, charged: 20, chargedTwice: 0 }
    expect(concluded(goodResult(), controlResult({ invoices: once })).verdict).toBe('unknown')
    expect(concluded(goodResult(), controlResult({ invoices: null })).verdict).toBe('unknown')
  })

  it('when the control found nothing, was not judged, or did not run', () => {
    expect(concluded(goodResult(), controlResult({ doubleCharges: 0 })).verdict).toBe('unknown')
    expect(concluded(goodResult(), { ...controlResult(), verdict: null }).verdict).toBe('unknown')
    expect(concluded(goodResult(), null).verdict).toBe('unknown')
  })

  it('when the auditor does not know, or said nothing', () => {
    const open = judged(goodResult(), { verdict: 'unknown', reason: 'nothing to check for I8' })
    expect(concluded(open, controlResult()).reasons).toEqual(['the auditor does not know: nothing to check for I8'])
    expect(concluded({ ...goodResult(), verdict: null }, controlResult()).verdict).toBe('unknown')
  })

  it('when the load test broke off, or one of its coverage thresholds did not hold', () => {
    expect(concluded({ ...goodResult(), outcome: 'unknown' }, controlResult()).verdict).toBe('unknown')
    for (const outcome of ['passed', 'failed'] as const) {
      expect(concluded({ ...goodResult(), outcome, summary: null }, controlResult()).verdict).toBe('unknown')
    }
    const result = goodResult()
    const summary = result.summary === null ? null : { ...result.summary, crossed: ['script_errors'] }
    expect(concluded({ ...result, outcome: 'failed', summary }, controlResult()).verdict).toBe('unknown')
  })

  it('when nothing ran', () => {
    expect(concluded(null, null).verdict).toBe('unknown')
  })
})

describe('of a hall that was sold', () => {
  it('it is invalid when a seat was sold twice, or the clients saw it', () => {
    const twice = {
      ...{ id: 'I4' as const, claim: 'no seat twice', verdict: 'invalid' as const },
      ...{ checked: 600, violations: 1, examples: [] },
    }
    expect(concludedSales(judged(goodSale(), { verdict: 'invalid', invariants: [twice] }))).toEqual({
      verdict: 'invalid',
      reasons: ['the sale: I4 is violated 1 times: no seat twice'],
    })
    expect(concludedSales(withSummary(goodSale(), { crossed: ['seats_given_twice'] })).verdict).toBe('invalid')
  })

  it.each([
    ['no seat was sold', goodSale({ sold: 0 })],
    ['nobody walked away from a hold', goodSale({ walkedAway: 0 })],
    ['no answer of the gateway to a checkout was lost', withSummary(goodSale(), { lostAnswers: 0 })],
    ['no replica was killed while the hall was sold', { ...goodSale(), kills: [] }],
    ['the auditor gave no verdict', { ...goodSale(), verdict: null }],
    ["the load test's threshold on seats_left did not hold", withSummary(goodSale(), { crossed: ['seats_left'] })],
    ['booking-api-2 was killed while it had no checkout', withIdleVictim(goodSale())],
  ])('it is unknown when %s', (doubt, sale) => {
    expect(concludedSales(sale)).toEqual({ verdict: 'unknown', reasons: [`the sale: ${doubt}`] })
  })

  it('it is unknown when none was, or the control sold no seat twice, or was not judged', () => {
    expect(concludedSales(null).verdict).toBe('unknown')
    expect(concludedSales(goodSale(), controlSale({ doubleBookings: 0 })).reasons).toEqual([
      'the control sold no seat twice, so that this sale proves nothing',
    ])
    expect(concludedSales(goodSale(), null).reasons).toEqual(["the control's sale was not judged"])
  })
})

function withSummary(sale: SaleResult, changes: Partial<NonNullable<SaleResult['summary']>>): SaleResult {
  return { ...sale, summary: sale.summary === null ? null : { ...sale.summary, ...changes } }
}

function withIdleVictim(sale: SaleResult): SaleResult {
  return { ...sale, kills: sale.kills.map((kill) => ({ ...kill, payments: 0 })) }
}
