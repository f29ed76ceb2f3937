import { expect, it } from 'vitest'
import { buildReport, type Measured } from '../../src/demo/build-report.ts'
import { renderPage } from '../../src/demo/render-page.ts'
import { renderTable } from '../../src/demo/render-table.ts'
import type { SaleResult } from '../../src/demo/sell-out-under-faults.ts'
import { controlResult, controlSale, goodResult, goodSale, judged } from './results.ts'

const measured: Measured = {
  startedAt: new Date(0),
  endedAt: new Date(61_500),
  setupSeconds: 5,
  versions: { node: '20.19.0', redis: null },
  guarded: goodResult(),
  control: controlResult(),
  sale: goodSale(),
  controlSale: controlSale(),
  memory: [{ process: 'worker-1', peakMb: 80 }],
  brokenOffBecause: null,
  unexpectedEnds: [],
}

const nothingRan = { guarded: null, control: null, sale: null, controlSale: null }

it('has the fields that are promised, with the figures of the run', () => {
  const report = buildReport(measured)
  expect(report).toMatchObject({
    verdict: 'valid',
    startedAt: '1970-01-01T00:00:00.000Z',
    durationSeconds: 61.5,
    protected: {
      ...{ orders: 200, requests: 4_000, overlappingPairs: 900, replays: 1_800, doubleCharges: 0 },
      ...{ lostAcknowledgements: 0, stuck: 0, unknownOutcomes: 30, recovered: 4, replicaKills: 2, workerKills: 2 },
      lostAnswers: 21,
    },
    control: {
      ...{ orders: 50, requests: 4_000, doubleCharges: 50, doubleBookings: 30 },
      seats: { sold: 600, oversold: 4 },
      invoices: { due: 20, charged: 20, chargedTwice: 20 },
    },
    seats: { sold: 600, holds: 210, walkedAway: 20, doubleBookings: 0, oversold: 0, paidWithoutSeat: 0 },
    receipts: { sent: 260, duplicates: 4, duplicatesWithoutCause: 0, missing: 0 },
    invoices: { due: 60, charged: 60, chargedTwice: 0 },
    timings: {
      ...{ setupSeconds: 5, ordersPerSecond: 10, requestsPerSecond: 200 },
      ...{ firstPayment: { p50Ms: 120, p99Ms: 300 }, replay: { p50Ms: 9, p99Ms: 30 } },
      ...{ seatsPerSecond: 40, hold: { p50Ms: 20, p99Ms: 90 }, checkout: { p50Ms: 200, p99Ms: 900 } },
    },
    memory: [
      { process: 'worker-1', peakMb: 80 },
      { process: 'k6', peakMb: 90 },
    ],
  })
  expect(report.injections.map(({ what, firings }) => `${firings} x ${what}`)).toEqual([
    '12 x the gateway charged and then dropped the connection instead of answering',
    '4 x the mail server took a receipt and never said so',
    '1 x worker-1 was killed with SIGKILL while 4 mails of all workers were on their way, and was ready again 1.0 s later',
    '1 x payments-api-2 was killed with SIGKILL in the middle of 2 payments, and was ready again 1.0 s later',
    '1 x leading the billing run, worker-2 was killed with SIGKILL in the middle of 3 payments, and was ready again 1.0 s later',
    '9 x the gateway authorized or captured a checkout and then dropped the connection instead of answering',
    '1 x selling the hall, booking-api-2 was killed with SIGKILL in the middle of 3 checkouts, and was ready again 1.0 s later',
  ])
})

it('says null, never zero, of what was not measured', () => {
  const report = buildReport({ ...measured, ...nothingRan, setupSeconds: null })
  expect(report.verdict).toBe('unknown')
  const { invoices: ofControl, seats: soldByControl, ...control } = report.control
  const { firstPayment, hold } = report.timings
  const parts = [
    ...[report.protected, control, ofControl, soldByControl, report.seats],
    ...[report.receipts, report.invoices, firstPayment, hold],
  ]
  const figures = parts.flatMap((part: object) => Object.values(part))
  expect(new Set(figures)).toEqual(new Set([null]))
})

it('is not valid when the demo broke off, or a process ended by itself, whatever was found before', () => {
  expect(buildReport({ ...measured, brokenOffBecause: 'interrupted by SIGINT' })).toMatchObject({
    verdict: 'unknown',
    reasons: ['interrupted by SIGINT'],
  })
  expect(buildReport({ ...measured, unexpectedEnds: ['worker-1 ended by itself: SIGSEGV'] }).verdict).toBe('unknown')
})

it('stays invalid when it also broke off', () => {
  const violated = {
    id: 'I1' as const,
    claim: 'no order twice',
    verdict: 'invalid' as const,
    checked: 1,
    violations: 3,
    examples: [],
  }
  const guarded = judged(goodResult(), { verdict: 'invalid', invariants: [violated] })
  expect(buildReport({ ...measured, guarded, brokenOffBecause: 'interrupted' }).verdict).toBe('invalid')
})

it('the table shows both sides, the verdict, and a dash for what is not known', () => {
  const table = renderTable(buildReport(measured))
  expect(table).toMatch(/orders charged more than once +0 +50\n/)
  expect(table).toMatch(/payments acknowledged and then lost +0 +-\n/)
  expect(table).toMatch(/receipts that arrived by mail +260 +-\n/)
  expect(table).toMatch(/second copies, each in flight when it was disturbed +4 +-\n/)
  expect(table).toMatch(/periods charged more than once +0 +20\n/)
  expect(table).toMatch(/seats sold to two customers +0 +30\n/)
  expect(table).toMatch(/seats and standing places that were sold +600 +600\n/)
  expect(table).toContain('VALID:')
})

it('the page needs nothing from elsewhere, and shows no text of others as markup', () => {
  const example = { subject: 'order', what: '<script>alert("x")</script>' }
  const violated = {
    id: 'I1' as const,
    claim: 'c',
    verdict: 'invalid' as const,
    checked: 1,
    violations: 1,
    examples: [example],
  }
  const page = renderPage(buildReport({ ...measured, guarded: judged(goodResult(), { invariants: [violated] }) }))
  expect(page).not.toMatch(/https?:|<script|src=|url\(/)
  expect(page).toContain('<svg')
  expect(page).toContain('process down')
})

it('the page can also be made of nothing', () => {
  expect(renderPage(buildReport({ ...measured, ...nothingRan }))).toContain('Nothing was measured')
})

it('says of each invariant once what both loads together showed', () => {
  const invariants = (verdict: 'valid' | 'not-applicable' | 'invalid', checked: number) => [
    { ...{ id: 'I1' as const, claim: 'no order twice', verdict, checked, violations: 0 }, examples: [] },
  ]
  const joined = (...ofSale: Parameters<typeof invariants>) =>
    buildReport({
      ...measured,
      guarded: judged(goodResult(), { invariants: invariants('valid', 2_000) }),
      sale: judged(goodSale(), { invariants: invariants(...ofSale) }),
    }).invariants
  expect(joined('valid', 2_200)).toMatchObject([{ id: 'I1', verdict: 'valid', checked: 2_200 }])
  expect(joined('not-applicable', 0)).toMatchObject([{ id: 'I1', verdict: 'valid', checked: 2_000 }])
  expect(joined('invalid', 200)).toMatchObject([{ id: 'I1', verdict: 'invalid', checked: 2_000 }])
})

it('the chart of the payments shows no process that was down at another time', () => {
  const [kill] = goodSale().kills
  const later = kill && { ...kill, at: new Date(Date.UTC(2026, 0, 2)), readyAgainAt: new Date(Date.UTC(2026, 0, 3)) }
  const bands = (sale: SaleResult) =>
    renderPage(buildReport({ ...measured, sale })).match(/<title>process down/g)?.length
  const none = { ...goodSale(), kills: [] }
  expect(bands({ ...none, kills: later ? [later] : [] })).toBe(bands(none))
})
