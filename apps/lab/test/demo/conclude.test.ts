import { describe, expect, it } from 'vitest'
import { conclude } from '../../src/demo/conclude.ts'
import { controlResult, goodResult, judged } from './results.ts'

it('is valid when the layers held, everything was met, and the control went wrong', () => {
  expect(conclude(goodResult(), controlResult())).toEqual({ verdict: 'valid', reasons: [] })
})

describe('is invalid', () => {
  it('with one violated invariant, whatever else is open', () => {
    const violated = {
      ...{ id: 'I1' as const, claim: 'no order twice', verdict: 'invalid' as const },
      ...{ checked: 1, violations: 1, examples: [] },
    }
    const conclusion = conclude(judged(goodResult(), { verdict: 'invalid', invariants: [violated] }), null)
    expect(conclusion).toEqual({ verdict: 'invalid', reasons: ['I1 is violated 1 times: no order twice'] })
  })

  it.each(['orders_charged_wrong', 'answers_unexpected', 'copies_unsettled'])(
    'when the load test counted %s',
    (metric) => {
      const result = goodResult()
      const summary = result.summary === null ? null : { ...result.summary, crossed: [metric] }
      expect(conclude({ ...result, outcome: 'failed', summary }, controlResult()).verdict).toBe('invalid')
    },
  )
})

describe('is unknown', () => {
  it.each(['overlappingPairs', 'replays', 'unknownOutcomes', 'recovered'] as const)('when %s is zero', (figure) => {
    const { verdict, reasons } = conclude(goodResult({ [figure]: 0 }), controlResult())
    expect([verdict, reasons.length]).toEqual(['unknown', 1])
  })

  it('when no replica was killed, or no answer lost', () => {
    expect(conclude({ ...goodResult(), kills: [] }, controlResult()).verdict).toBe('unknown')
    expect(conclude({ ...goodResult(), lostAnswers: 0 }, controlResult()).verdict).toBe('unknown')
    const kills = goodResult().kills.map((kill) => ({ ...kill, payments: 0 }))
    expect(conclude({ ...goodResult(), kills }, controlResult()).reasons).toEqual([
      'payments-api-2 was killed while it had no payment',
    ])
  })

  it('when nobody was killed while mail was on its way, or no mail came of it', () => {
    const calm = goodResult().mailKill
    const inTime = calm && { ...calm, messages: 0 }
    for (const mailKill of [null, inTime]) {
      expect(conclude({ ...goodResult(), mailKill }, controlResult()).reasons).toEqual([
        'no worker was killed while mail was on its way',
      ])
    }
    const figures = { sent: 260, duplicates: 0, duplicatesWithoutCause: 0, missing: 0 }
    expect(conclude(goodResult({ receipts: figures }), controlResult()).reasons).toEqual([
      'no receipt had to be sent again',
    ])
    expect(conclude(goodResult({ receipts: null }), controlResult()).verdict).toBe('unknown')
  })

  it('when the billing run had no leader to kill, nothing to bill, or did not come to its end', () => {
    const billing = { subscriptions: 60, leaderKill: null }
    expect(conclude({ ...goodResult(), billing }, controlResult()).reasons).toEqual([
      'no leader of the billing run was killed',
    ])
    expect(conclude(goodResult({ invoices: null }), controlResult()).reasons).toEqual(['no subscription fell due'])
    const half = { due: 60, charged: 30, chargedTwice: 0 }
    expect(conclude(goodResult({ invoices: half }), controlResult()).reasons).toEqual([
      'of 60 periods that were due, 30 were charged',
    ])
  })

  it('when the control charged no period twice', () => {
    const once = { due: 20, charged: 20, chargedTwice: 0 }
    expect(conclude(goodResult(), controlResult({ invoices: once })).verdict).toBe('unknown')
    expect(conclude(goodResult(), controlResult({ invoices: null })).verdict).toBe('unknown')
  })

  it('when the control found nothing, was not judged, or did not run', () => {
    expect(conclude(goodResult(), controlResult({ doubleCharges: 0 })).verdict).toBe('unknown')
    expect(conclude(goodResult(), { ...controlResult(), verdict: null }).verdict).toBe('unknown')
    expect(conclude(goodResult(), null).verdict).toBe('unknown')
  })

  it('when the auditor does not know, or said nothing', () => {
    const open = judged(goodResult(), { verdict: 'unknown', reason: 'nothing to check for I8' })
    expect(conclude(open, controlResult()).reasons).toEqual(['the auditor does not know: nothing to check for I8'])
    expect(conclude({ ...goodResult(), verdict: null }, controlResult()).verdict).toBe('unknown')
  })

  it('when the load test broke off, or one of its coverage thresholds did not hold', () => {
    expect(conclude({ ...goodResult(), outcome: 'unknown' }, controlResult()).verdict).toBe('unknown')
    for (const outcome of ['passed', 'failed'] as const) {
      expect(conclude({ ...goodResult(), outcome, summary: null }, controlResult()).verdict).toBe('unknown')
    }
    const result = goodResult()
    const summary = result.summary === null ? null : { ...result.summary, crossed: ['script_errors'] }
    expect(conclude({ ...result, outcome: 'failed', summary }, controlResult()).verdict).toBe('unknown')
  })

  it('when nothing ran', () => {
    expect(conclude(null, null).verdict).toBe('unknown')
  })
})
