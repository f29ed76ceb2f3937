import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { placesIn } from '../../src/bench-locks/fill-document.ts'
import type { LocksReport } from '../../src/bench-locks/locks-report.ts'
import { runBenchLocks } from '../../src/bench-locks/run-bench-locks.ts'

const root = resolve(import.meta.dirname, '../../../..')

const strategies = [
  ...['redis-lock', 'bare-set-eval', 'redlock-hardened', 'redlock', 'sesamecare-redlock'],
  ...['advisory-transaction', 'advisory-transaction-and-write', 'advisory-session', 'optimistic'],
]

it('a quick run measures everything it promises, and judges nothing', { timeout: 120_000 }, async () => {
  const said: string[] = []
  const signal = new AbortController().signal
  const exitCode = await runBenchLocks({
    ...{ root, quick: true, fillDocument: true, signal },
    say: (text) => said.push(text),
  })

  expect(said.join('\n')).toContain('UNKNOWN')
  expect(exitCode).toBe(2)
  const report = readReport()
  expect(report.reasons).toEqual([expect.stringContaining('quick')])
  expect(report.ratios.map(({ holds }) => holds)).toEqual(report.ratios.map(() => null))

  const measured = report.ratios.filter(({ value }) => value !== null).map(({ name }) => name)
  expect(measured).toEqual(
    // Ten thousand leases are no quick matter.
    report.ratios.map(({ name }) => name).filter((name) => !name.startsWith('heartbeat-cpu')),
  )
  expect(report.facts['heartbeat-cpu-200-leases-ttl-1500-ms']).toEqual(expect.any(Number))
  expectSeries(report)
  expectPage()
  // Its figures must not get into the documentation.
  expect(said.join('\n')).not.toContain('Filled')
})

it('the document has no place for a figure that is not measured', () => {
  const text = readFileSync(join(root, 'docs/choosing-a-lock.md'), 'utf8')
  const names = placesIn(text)
  expect(names.length).toBeGreaterThan(20)
  expect(names.filter((name) => !isFigure(name))).toEqual([])
})

function readReport(): LocksReport {
  return JSON.parse(readFileSync(join(root, '.seatbelt/reports/locks-quick.json'), 'utf8'))
}

function expectSeries({ series }: LocksReport): void {
  expect(new Set(series.map(({ strategy }) => strategy))).toEqual(new Set(strategies))
  // Three contentions with two amounts of work each.
  expect(series.length).toBe(strategies.length * 6)
  for (const one of series) {
    expect(one.brackets).toBeGreaterThan(0)
    expect(one.throughputPerSecond).toBeGreaterThan(0)
    // A timer may fire a millisecond early.
    expect(one.p50Ms).toBeGreaterThan(one.workMs - 1)
    expect(one.wastedWorkShare === 0).toBe(one.strategy !== 'optimistic' || one.retriesPerBracket === 0)
  }
  // What says that it pins nothing was watched while others did.
  const pinning = series.filter(({ pinnedConnections }) => pinnedConnections.peak > 0).map(({ strategy }) => strategy)
  expect(new Set(pinning)).toEqual(new Set(strategies.slice(5)))
}

function expectPage(): void {
  const page = readFileSync(join(root, '.seatbelt/reports/locks-quick.html'), 'utf8')
  expect(page).toContain('<svg')
  expect(page).not.toMatch(/<script|<link|https?:|NaN|undefined|Infinity/)
}

/** Of a full run, which is too long for a test. */
function isFigure(name: string): boolean {
  const [kind = '', contenders = '', workMs = '', field = ''] = name.split('.')
  if (!strategies.includes(kind)) return name === 'date' || /^(ratio|percent|fact|machine)\.[\w-]+$/.test(name)
  return (
    ['1', '2', '8', '32', 'many'].includes(contenders) &&
    ['0', '5', '50'].includes(workMs) &&
    /^(throughputPerSecond|p50Ms|p99Ms|maxMs|retriesPerBracket|wastedPercent|pinned|gaveUp)$/.test(field)
  )
}
