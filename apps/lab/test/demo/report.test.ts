import { expect, it } from 'vitest'
import { buildReport, type Measured } from '../../src/demo/build-report.ts'
import { renderPage } from '../../src/demo/render-page.ts'
import { renderTable } from '../../src/demo/render-table.ts'
import { controlResult, goodResult, judged } from './results.ts'

const measured: Measured = {
  startedAt: new Date(0),
  endedAt: new Date(61_500),
  setupSeconds: 5,
  versions: { node: '20.19.0', redis: null },
  guarded: goodResult(),
  control: controlResult(),
  memory: [{ process: 'worker-1', peakMb: 80 }],
  brokenOffBecause: null,
  unexpectedEnds: [],
}

it('has the fields that are promised, with the figures of the run', () => {
  const report = buildReport(measured)
  expect(report).toMatchObject({
    verdict: 'valid',
    startedAt: '1970-01-01T00:00:00.000Z',
    durationSeconds: 61.5,
    protected: {
      ...{ orders: 200, requests: 4_000, overlappingPairs: 900, replays: 1_800, doubleCharges: 0 },
      ...{ lostAcknowledgements: 0, stuck: 0, unknownOutcomes: 30, recovered: 4, replicaKills: 1, workerKills: 2 },
    },
    control: {
      ...{ orders: 50, requests: 4_000, doubleCharges: 50, doubleBookings: null },
      invoices: { due: 20, charged: 20, chargedTwice: 20 },
    },
    receipts: { sent: 260, duplicates: 4, duplicatesWithoutCause: 0, missing: 0 },
    invoices: { due: 60, charged: 60, chargedTwice: 0 },
    timings: {
      ...{ setupSeconds: 5, ordersPerSecond: 10, requestsPerSecond: 200 },
      ...{ firstPayment: { p50Ms: 120, p99Ms: 300 }, replay: { p50Ms: 9, p99Ms: 30 } },
    },
    memory: [
      { process: 'worker-1', peakMb: 80 },
      { process: 'k6', peakMb: 90 },
    ],
  })
  expect(new Set(Object.values(report.seats))).toEqual(new Set([null]))
  expect(report.injections.map(({ what, firings }) => `${firings} x ${what}`)).toEqual([
    '12 x the gateway charged and then dropped the connection instead of answering',
    '4 x the mail server took a receipt and never said so',
    '1 x worker-1 was killed with SIGKILL while 4 mails of all workers were on their way, and was ready again 1.0 s later',
    '1 x payments-api-2 was killed with SIGKILL in the middle of 2 payments, and was ready again 1.0 s later',
    '1 x leading the billing run, worker-2 was killed with SIGKILL in the middle of 3 payments, and was ready again 1.0 s later',
  ])
})

it('says null, never zero, of what was not measured', () => {
  const report = buildReport({ ...measured, setupSeconds: null, guarded: null, control: null })
  expect(report.verdict).toBe('unknown')
  const { invoices: ofControl, ...control } = report.control
  const parts = [report.protected, control, ofControl, report.receipts, report.invoices, report.timings.firstPayment]
  const figures = parts.flatMap((part) => Object.values(part))
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
  expect(renderPage(buildReport({ ...measured, guarded: null, control: null }))).toContain('Nothing was measured')
})
