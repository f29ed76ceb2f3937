import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import process from 'node:process'
import { describe, expect, it } from 'vitest'
import type { SliceResult } from '../src/load/slice.ts'
import { median } from '../src/measure/median.ts'
import { SeriesBook } from '../src/measure/series-book.ts'
import { calledFiles } from '../src/probe/files-per-payment.ts'
import { packageShares } from '../src/probe/profile-system.ts'
import { judge } from '../src/report/judge.ts'
import { computeRatios } from '../src/report/ratios.ts'
import { systemNames } from '../src/systems/systems.ts'

const root = resolve(import.meta.dirname, '../..')

const everyTenMs = Array.from({ length: 200 }, (_, index) => 10 * (index + 1))

/** A window of two seconds. */
function slice(completed: number, apiCpuMs: number, latenciesMs: readonly number[] = everyTenMs): SliceResult {
  return {
    windowMs: 2_000,
    completed,
    latenciesMs,
    cpuMs: { api: apiCpuMs, postgres: 100, redis: null, simulator: 50, client: 40 },
    machineCpuMs: apiCpuMs + 590,
    done: [],
    bodies: [],
  }
}

describe('the median', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[4, 1], 2.5],
    [[9, 1, 5], 5],
  ])('of %j is %j', (values, middle) => {
    expect(median(values)).toBe(middle)
  })
})

describe('a series', () => {
  const book = new SeriesBook()
  const name = { system: 'floor', operation: 'payment', inFlight: 64 } as const
  book.add(name, 1, slice(200, 400))
  book.add(name, 2, slice(100, 500))
  book.add(name, 3, slice(400, 600))
  const [series] = book.list()

  it('is the median of its runs, which stay in it', () => {
    expect(series).toMatchObject({ throughputPerSecond: 100, p50Ms: 1_000, p99Ms: 1_980 })
    expect(series?.cpuMsPerRequest).toEqual({ api: 2, postgres: 0.5, redis: null, simulator: 0.25, client: 0.2 })
    expect(series?.runs.map((run) => run.throughputPerSecond)).toEqual([100, 50, 200])
  })

  it('says how busy the machine was with something else', () => {
    expect(series?.runs[0]).toMatchObject({ clientCores: 0.02, otherCores: 0.2 })
  })

  it('has no 99th percentile of fewer than a hundred requests', () => {
    const few = new SeriesBook()
    few.add(name, 1, slice(20, 100, everyTenMs.slice(0, 99)))
    expect(few.list()[0]?.p99Ms).toBeNull()
  })

  it('is not made from a window without answers', () => {
    expect(() => new SeriesBook().add(name, 1, slice(0, 0))).toThrow('no request was answered')
  })
})

describe('the ratios', () => {
  const book = new SeriesBook()
  const add = (system: 'floor' | 'seatbelt', round: number, completed: number, cpuMs: number) =>
    book.add({ system, operation: 'payment', inFlight: 64 }, round, slice(completed, cpuMs))
  // The machine halves its speed in the second round: the ratio stays.
  add('floor', 1, 400, 800)
  add('seatbelt', 1, 300, 900)
  add('floor', 2, 200, 400)
  add('seatbelt', 2, 150, 450)
  const counted = { system: 'seatbelt', operation: 'hold', postgres: 5, redis: 1, samples: [], trips: [] } as const
  const ratios = computeRatios({ series: book.list(), roundTrips: [counted], filesPerPayment: null })
  const named = (name: string) => ratios.find((ratio) => ratio.name === name)

  it('compare two systems within each round', () => {
    expect(named('throughput-to-floor')).toMatchObject({ value: 0.75, goal: 0.6, holds: true })
    expect(named('cpu-to-floor')).toMatchObject({ value: 1.5, goal: 1.8, holds: true })
  })

  it('are missed when a count is above its goal, and null when nothing was measured', () => {
    expect(named('round-trips-postgres-hold')).toMatchObject({ value: 5, goal: 4, holds: false })
    expect(named('throughput-to-dbos')).toMatchObject({ value: null, holds: null })
  })

  it('make a run invalid when one is missed, and unknown when one was not measured', () => {
    const circumstances = { only: null, brokenOffBecause: null, failures: [] }
    expect(judge(ratios, circumstances).verdict).toBe('invalid')
    const withoutMiss = ratios.filter(({ holds }) => holds !== false)
    expect(judge(withoutMiss, circumstances).verdict).toBe('unknown')
    const held = ratios.map((ratio) => ({ ...ratio, value: 1, holds: true }))
    expect(judge(held, circumstances)).toEqual({ verdict: 'valid', reasons: [] })
    const failure = { system: 'floor', operation: 'payment', inFlight: 1, round: 1, message: 'a 503' } as const
    expect(judge(held, { ...circumstances, failures: [failure] }).verdict).toBe('invalid')
  })

  it('expect of a single system only what it can show', () => {
    const { reasons } = judge(ratios, { only: 'seatbelt', brokenOffBecause: null, failures: [] })
    expect(reasons.some((reason) => reason.includes('DBOS'))).toBe(false)
  })
})

describe('the files of a payment', () => {
  it('are our own sources with a function that was called', () => {
    const script = (path: string, count: number) => ({
      url: `file://${root}/${path}`,
      functions: [{ ranges: [{ count: 0 }] }, { ranges: [{ count }] }],
    })
    const result = [
      script('packages/payments/src/b.ts', 2),
      script('packages/payments/src/a.ts?tsx=1', 1),
      script('packages/payments/src/idle.ts', 0),
      script('packages/http/node_modules/express/index.js', 1),
      { url: 'node:internal/timers', functions: [{ ranges: [{ count: 9 }] }] },
    ]
    expect(calledFiles({ result }, root)).toEqual(['packages/payments/src/a.ts', 'packages/payments/src/b.ts'])
  })
})

describe('a profile', () => {
  it('counts native code for the package that called it, and leaves idle time out', () => {
    const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 0 })
    const nodes = [
      { id: 1, callFrame: frame('(root)'), children: [2, 4, 5] },
      {
        id: 2,
        callFrame: frame('query', `file://${root}/node_modules/.pnpm/pg@8/node_modules/pg/lib/client.js`),
        children: [3],
      },
      { id: 3, callFrame: frame('writev') },
      { id: 4, callFrame: frame('(idle)') },
      { id: 5, callFrame: frame('(garbage collector)') },
    ]
    const profile = { nodes, samples: [2, 3, 4, 5], timeDeltas: [100, 200, 5_000, 100] }
    expect(packageShares(profile, root)).toEqual([
      { name: 'pg', share: 0.75 },
      { name: '(garbage collector)', share: 0.25 },
    ])
  })
})

describe('npm run bench', () => {
  it('names the systems when it does not know one', () => {
    const words = [resolve(root, 'scripts/seatbelt.mjs'), 'bench', '--only', 'nothing']
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 20_000 })
    expect(status).toBe(2)
    expect(stderr).toContain(`--only must be one of ${systemNames.join(', ')}, not "nothing".`)
  })
})
