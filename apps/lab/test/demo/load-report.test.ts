import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { buildLoadReport, exitCodeOf, type Fired, type LoadReport } from '../../src/load/load-report.ts'
import { withGatewayHealedAfter } from '../../src/load/with-gateway-healed-after.ts'

const times = { startedAt: new Date('2026-11-20T10:00:00Z'), endedAt: new Date('2026-11-20T10:00:42Z') }

describe('the verdict on a load', () => {
  it('is valid where every threshold held', () => {
    expect(report(fired('passed', {}))).toMatchObject({ verdict: 'valid', reasons: [], durationSeconds: 42 })
  })

  it('is invalid where the system did wrong, and says what', () => {
    const { verdict, reasons } = report(
      fired('failed', { orders_charged_wrong: false, 'faults_fired{fault:a_b}': false }),
    )
    expect([verdict, reasons]).toEqual(['invalid', ['orders_charged_wrong count==0 did not hold']])
  })

  it('is unknown where only what it should have met did not happen', () => {
    expect(report(fired('failed', { 'faults_fired{fault:a_b}': false })).verdict).toBe('unknown')
    expect(report(fired('failed', { audit_invariants_unknown: false })).verdict).toBe('unknown')
  })

  it('is unknown where k6 or what it needs broke off', () => {
    expect(report(fired('unknown', {})).verdict).toBe('unknown')
    expect(report({ ...fired('unknown', {}), summary: null }).reasons).toEqual(['k6 left no summary'])
    const broken = { name: 'refund-race', control: false, ...times, fired: null, brokenOffBecause: 'no redis' } as const
    expect(buildLoadReport(broken)).toMatchObject({ verdict: 'unknown', reasons: ['no redis'], load: null })
  })

  it('says null of what was not measured, never 0', () => {
    const { violations, goodputPerSecond, faults } = report({ ...fired('unknown', {}), summary: null, audit: null })
    expect(violations).toEqual({ audit: null, seen: null })
    expect([goodputPerSecond, faults]).toEqual([null, [{ on: 'refund', kind: 'drop-after', fired: null }]])
  })

  it('tells the goodput without those who waited for the end', () => {
    const summary = {
      ...measured({}),
      metrics: { paid_at: trend({ count: 50, min: 1_000, 'p(90)': 10_000, max: 90_000 }) },
    }
    expect(report({ ...fired('passed', {}), summary }).goodputPerSecond).toBe(5)
  })
})

describe('what a load that sells seats writes down', () => {
  it('is how many were sold a second without those who waited for the end, and what was looked at once', () => {
    const metrics = {
      seat_sold_at: trend({ count: 1_000, min: 5_000, 'p(90)': 14_000, max: 80_000 }),
      losers_in_database_share: { type: 'gauge', values: { value: 2 / 23_940 } },
    }
    const { seatsSoldPerSecond, measures, latencies } = report({
      ...fired('passed', {}),
      summary: { ...measured({}), metrics },
    })
    expect([seatsSoldPerSecond, measures]).toEqual([100, { losers_in_database_share: 0.00008354 }])
    // Moments are no latencies.
    expect(latencies).toEqual({})
  })
})

describe('the exit code', () => {
  it('of a load is its verdict', () => {
    const codes = [{}, { audit_violations: false }, { overlapping_pairs: false }].map((thresholds) =>
      exitCodeOf(report(fired(Object.keys(thresholds).length === 0 ? 'passed' : 'failed', thresholds))),
    )
    expect(codes).toEqual([0, 1, 2])
  })

  it('of a control is 0 where it broke what it must break', () => {
    expect(exitCodeOf(report(fired('failed', { audit_violations: false }, { I9: 3 }), true))).toBe(0)
  })

  it('of a control is 1 where it did not, whatever else is wrong with it', () => {
    // It records no answers, so that I8 is always violated: that proves nothing about refunds.
    expect(exitCodeOf(report(fired('failed', { audit_violations: false }, { I8: 40 }), true))).toBe(1)
  })

  it('of a control is 2 where nobody judged it', () => {
    expect(exitCodeOf(report({ ...fired('failed', {}), audit: null }, true))).toBe(2)
  })
})

describe('the gateway', () => {
  it.each(['resolves', 'rejects'])('behaves again after the work %s', async (how) => {
    const told: string[] = []
    const server = createServer((request, response) => {
      request.on('data', (chunk) => told.push(`${request.url} ${chunk}`))
      request.on('end', () => response.end('{}'))
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    try {
      const gatewayUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const work = async () => {
        if (how === 'rejects') throw new Error('k6 was killed')
      }
      await withGatewayHealedAfter({ gatewayUrl, say: () => undefined }, work).catch(() => undefined)
      expect(told).toEqual(['/_control/faults {"faults":[]}'])
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  it('that is gone is told of, and does not hide why the work failed', async () => {
    const said: string[] = []
    const work = withGatewayHealedAfter(
      { gatewayUrl: 'http://127.0.0.1:1', say: (text) => said.push(text) },
      async () => {
        throw new Error('k6 was killed')
      },
    )
    await expect(work).rejects.toThrow('k6 was killed')
    expect(said.join()).toContain('could not be told to behave again')
  })
})

function report(fired: Fired, control = false): LoadReport {
  return buildLoadReport({ name: 'refund-race', control, ...times, fired, brokenOffBecause: null })
}

/** `thresholds`: which held. `violations`: by invariant. */
function fired(
  outcome: Fired['outcome'],
  thresholds: Record<string, boolean>,
  violations: Partial<Record<'I8' | 'I9', number>> = {},
): Fired {
  const invariants = (['I8', 'I9'] as const).map((id) => ({
    ...{ id, claim: '', verdict: violations[id] === undefined ? ('valid' as const) : ('invalid' as const) },
    ...{ checked: 50, violations: violations[id] ?? 0, examples: [] },
  }))
  const verdict = { run: 'run', verdict: 'valid', reason: null, figures: null, latency: null, waitedMs: 0 } as const
  return { outcome, run: 'run', summary: measured(thresholds), audit: { ...verdict, invariants } }
}

function measured(thresholds: Record<string, boolean>): NonNullable<Fired['summary']> {
  const metrics = Object.entries(thresholds).map(([name, ok]) => [
    name,
    { type: 'counter', values: { count: ok ? 0 : 1 }, thresholds: { 'count==0': { ok } } },
  ])
  return { durationMs: 1_000, orders: 8, copies: 4, concurrency: 4, metrics: Object.fromEntries(metrics) }
}

function trend(values: Record<string, number>) {
  return { type: 'trend', values }
}
