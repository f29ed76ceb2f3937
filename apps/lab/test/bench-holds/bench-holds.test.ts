import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { flatness, type HoldSeries, type HoldsReport } from '../../src/bench-holds/holds-report.ts'
import { runBenchHolds } from '../../src/bench-holds/run-bench-holds.ts'
import { judgeReport } from '../../src/bench-locks/locks-report.ts'

const root = resolve(import.meta.dirname, '../../../..')

it('a quick run measures every kind of hold at every size, and judges nothing', { timeout: 600_000 }, async () => {
  const said: string[] = []
  const signal = new AbortController().signal
  const exitCode = await runBenchHolds({ root, quick: true, say: (text) => said.push(text), signal })

  expect(said.join('\n')).toContain('UNKNOWN')
  expect(exitCode).toBe(2)
  const report: HoldsReport = JSON.parse(readFileSync(join(root, '.seatbelt/reports/holds-quick.json'), 'utf8'))
  expect(report.reasons).toEqual([expect.stringContaining('quick')])
  expect(report.ratios.map(({ value, holds }) => [typeof value, holds])).toEqual(Array(3).fill(['number', null]))
  const measured = report.series.map(({ kind, eventSeats, holds }) => `${kind} ${eventSeats} ${holds}`)
  expect(measured.sort()).toEqual(
    ['adjacent', 'places', 'seats'].flatMap((kind) => [`${kind} 1000 10`, `${kind} 500 10`]),
  )
})

describe('the verdict on the cost of a hold', () => {
  it('is valid where it is as flat as two cores can tell', () => {
    const series = [...at(1_000, 4), ...at(10_000, 9), ...at(100_000, 5)]
    expect(judge(series)).toMatchObject({ verdict: 'valid', reasons: [] })
  })

  it('is invalid where one kind of hold grows with the event, and says which', () => {
    const series = [...at(1_000, 4), ...at(100_000, 4)].map((one) =>
      one.kind === 'adjacent' && one.eventSeats === 100_000 ? { ...one, p50Ms: 40 } : one,
    )
    const { verdict, reasons } = judge(series)
    expect([verdict, reasons]).toEqual(['invalid', [expect.stringContaining('the best two side by side')]])
  })

  it('is unknown where a size is missing, and its ratio is null and not 0', () => {
    expect(flatness(at(1_000, 4), [1_000, 100_000]).map(({ value }) => value)).toEqual([null, null, null])
    expect(judge(at(1_000, 4)).verdict).toBe('unknown')
  })
})

function judge(series: readonly HoldSeries[]) {
  return judgeReport(flatness(series, [1_000, 10_000, 100_000]), { quick: false, brokenOffBecause: null })
}

function at(eventSeats: number, p50Ms: number): HoldSeries[] {
  return (['seats', 'adjacent', 'places'] as const).map((kind) => ({
    ...{ kind, eventSeats, inFlight: 4, holds: 100, p50Ms, p99Ms: 10 },
  }))
}
