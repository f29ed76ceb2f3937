import { describe, expect, it } from 'vitest'
import { conclude } from '../../src/demo/conclude.ts'
import { controlResult, goodResult, judged } from './results.ts'

it('is valid when the layers held, everything was met, and the control went wrong', () => {
  expect(conclude(goodResult(), controlResult())).toEqual({ verdict: 'valid', reasons: [] })
})

describe('is invalid', () => {
  it('with one violated invariant, whatever else is open', () => {
    const violated = {
      ...{ id: 'I1', claim: 'no order twice', verdict: 'invalid' as const },
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
