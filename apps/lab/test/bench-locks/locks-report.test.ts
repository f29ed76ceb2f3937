import { describe, expect, it } from 'vitest'
import { fillFigures } from '../../src/bench-locks/fill-document.ts'
import { createRatio, judgeReport, type LockSeries, type LocksReport } from '../../src/bench-locks/locks-report.ts'
import { renderPage } from '../../src/bench-locks/render-page.ts'
import { quantile } from '../../src/bench-locks/statistics.ts'

const fast = { name: 'fast', what: 'how fast', goal: 0.9 }
const cheap = { name: 'cheap', what: 'how dear', goal: 0.05, goalIs: 'at most' as const }
const full = { quick: false, brokenOffBecause: null }

describe('the verdict', () => {
  it('is valid only if every goal was measured and is held', () => {
    const held = [createRatio(fast, 0.9), createRatio(cheap, 0.05), createRatio({ ...fast, goal: null }, 0.1)]
    expect(judgeReport(held, full)).toEqual({ verdict: 'valid', reasons: [] })
    expect(judgeReport([createRatio(fast, 0.95), createRatio(cheap, null)], full)).toEqual({
      verdict: 'unknown',
      reasons: ['how dear: not measured'],
    })
  })

  it('is invalid when a goal is missed, also when the run broke off', () => {
    const missed = [createRatio(fast, 0.89), createRatio(cheap, 0.06)]
    expect(missed.map(({ holds }) => holds)).toEqual([false, false])
    expect(judgeReport(missed, full)).toEqual({
      verdict: 'invalid',
      reasons: ['how fast: 0.89, and at least 0.9 is the goal', 'how dear: 0.06, and at most 0.05 is the goal'],
    })
    expect(judgeReport(missed, { quick: false, brokenOffBecause: 'interrupted' }).verdict).toBe('invalid')
  })
})

const series: LockSeries = {
  ...{ strategy: 'redis-lock', contenders: 8, resources: 1, workMs: 5, rounds: 3, brackets: 100 },
  ...{ throughputPerSecond: 120.44, p50Ms: null, p99Ms: null, maxMs: 9, retriesPerBracket: 2 },
  ...{ wastedWorkShare: 0.25, gaveUp: 0, pinnedConnections: { mean: 1.5, peak: 3 } },
}
const report: LocksReport = {
  ...{
    verdict: 'unknown',
    reasons: ['<script>'],
    startedAt: '2026-11-20T00:00:00.000Z',
    durationSeconds: 1,
    quick: true,
  },
  machine: {
    ...{
      cpu: 'A & B',
      cores: 2,
      memoryMb: 8_000,
      system: 'Linux',
      node: '20',
      postgres: null,
      redis: null,
      loadBefore: 1,
    },
  },
  ...{ ratios: [createRatio(fast, null)], series: [series], facts: { margin: 12.34 } },
}

it('the page shows no text of others as markup, and a dash for what is not known', () => {
  const page = renderPage(report)
  expect(page).not.toContain('<script>')
  expect(page).toContain('PostgreSQL -')
  expect(page).not.toMatch(/NaN|undefined|null/)
})

it('figures go into their places, and a place without a figure stays as it is', () => {
  const place = (name: string, value: string) => `<!-- measured: ${name} -->${value}<!-- /measured -->`
  const names = [
    'redis-lock.8.5.throughputPerSecond',
    'redis-lock.8.5.p99Ms',
    'redis-lock.8.5.wastedPercent',
    'fact.margin',
  ]
  const before = [...names, 'redis-lock.9.5.p99Ms'].map((name) => place(name, 'old')).join(' | ')
  const { text, unknown } = fillFigures(before, report)
  expect(unknown).toEqual(['redis-lock.9.5.p99Ms'])
  const filled = names.map((name, index) => place(name, ['120.4', '-', '25 %', '12.3'][index] ?? ''))
  expect(text).toBe([...filled, place('redis-lock.9.5.p99Ms', 'old')].join(' | '))
})

it('a quantile is one of the values', () => {
  expect(quantile([3, 1, 2, 4], 0.5)).toBe(2)
  expect(quantile([3, 1, 2, 4], 0.99)).toBe(4)
  expect(quantile([7], 0.99)).toBe(7)
  expect(quantile([], 0.5)).toBeNull()
})
