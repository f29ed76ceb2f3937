import { expect, it } from 'vitest'
import { latencySeries, percentile } from '../../src/auditor/latency-series.ts'
import { acknowledged, attempt, paidOrder } from './history.ts'

const order = paidOrder(1)
const startMs = 1_700_000_000_000

it('puts each attempt into the second in which it ended, first payments and replays apart', () => {
  const series = latencySeries([
    acknowledged(order, { sentAt: startMs, endedAt: startMs + 900, inFlightMs: 120 }),
    acknowledged(order, { sentAt: startMs + 950, endedAt: startMs + 1_000, inFlightMs: 9, replayed: true }),
    attempt(order, { sentAt: startMs + 100, endedAt: startMs + 2_500 }),
  ])
  expect(series).toMatchObject({ startedAtMs: startMs, loadSeconds: 2.5, sliceSeconds: 1 })
  expect(series?.slices).toEqual([
    { ...empty(0), requests: 1, firstPaymentP50Ms: 120, firstPaymentP99Ms: 120 },
    { ...empty(1), requests: 1, replayP50Ms: 9, replayP99Ms: 9 },
    { ...empty(2), requests: 1, unknownOutcomes: 1 },
  ])
})

it('takes longer slices for a longer run, and loses no attempt', () => {
  const attempts = Array.from({ length: 1_000 }, (_, second) =>
    attempt(order, { sentAt: startMs, endedAt: startMs + second * 1_000 }),
  )
  const series = latencySeries(attempts)
  expect(series?.slices.length).toBeLessThanOrEqual(241)
  expect(series?.slices.reduce((sum, slice) => sum + slice.requests, 0)).toBe(1_000)
})

it('says nothing about no attempts', () => {
  expect(latencySeries([])).toBeNull()
})

it('percentiles are values that occurred', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
  expect([percentile(hundred, 50), percentile(hundred, 99), percentile([7], 99), percentile([], 50)]).toEqual([
    50,
    99,
    7,
    null,
  ])
})

function empty(atSeconds: number) {
  return {
    atSeconds,
    requests: 0,
    unknownOutcomes: 0,
    firstPaymentP50Ms: null,
    firstPaymentP99Ms: null,
    replayP50Ms: null,
    replayP99Ms: null,
  }
}
