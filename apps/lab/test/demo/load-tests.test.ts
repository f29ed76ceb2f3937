import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { type FakeShop, type ShopManners, startFakeShop } from './fake-shop.ts'

const loadTests = new URL('../../../../loadtests/', import.meta.url).pathname

/** k6 starts in half a second and these loads take less than two; a machine under load gets ten times as long. */
const boundMs = 25_000

/** k6's exit code for thresholds that were crossed. */
const thresholdsCrossed = 99

let shop: FakeShop | undefined
afterEach(async () => {
  await shop?.close()
  shop = undefined
})

it.each(['duplicate-payments', 'double-click', 'key-reuse'])(
  '%s passes against a shop with good manners',
  async (name) => {
    expect(await runAgainst({}, name)).toEqual({ exitCode: 0, crossed: [] })
  },
  boundMs,
)

it(
  'a shop that charges every copy does not pass',
  async () => {
    const { exitCode, crossed } = await runAgainst({ charges: 'every-time' }, 'duplicate-payments')
    expect(exitCode).toBe(thresholdsCrossed)
    expect(crossed).toEqual(expect.arrayContaining(['orders_charged_wrong', 'audit_violations']))
  },
  boundMs,
)

it(
  'a shop that says paid and charges nobody does not pass',
  async () => {
    const { exitCode, crossed } = await runAgainst({ charges: 'never' }, 'duplicate-payments')
    expect(exitCode).toBe(thresholdsCrossed)
    expect(crossed).toEqual(expect.arrayContaining(['orders_charged_wrong', 'audit_violations']))
  },
  boundMs,
)

it(
  'a shop that leaves its clients waiting does not pass',
  async () => {
    const { exitCode, crossed } = await runAgainst({ settles: false }, 'duplicate-payments')
    expect(exitCode).toBe(thresholdsCrossed)
    expect(crossed).toEqual(expect.arrayContaining(['copies_unsettled', 'copies_settled']))
  },
  boundMs,
)

it(
  'a shop that takes one order twice, under two keys, does not pass',
  async () => {
    const { exitCode, crossed } = await runAgainst({ knowsThatAnOrderIsPaid: false }, 'double-click')
    expect(exitCode).toBe(thresholdsCrossed)
    expect(crossed).toEqual(expect.arrayContaining(['orders_charged_wrong', 'clicks_paid', 'clicks_refused']))
  },
  boundMs,
)

it(
  'a shop that takes a key for another request does not pass',
  async () => {
    const { exitCode, crossed } = await runAgainst({ comparesRequests: false }, 'key-reuse')
    expect(exitCode).toBe(thresholdsCrossed)
    expect(crossed).toEqual(expect.arrayContaining(['answers_unexpected', 'reuse_refused']))
  },
  boundMs,
)

it(
  'nothing passes without its auditor: neither violations nor overlaps were looked for',
  async () => {
    const { exitCode, crossed } = await runAgainst({ hasAuditor: false }, 'duplicate-payments')
    expect(exitCode).toBe(thresholdsCrossed)
    expect(crossed).toEqual(
      expect.arrayContaining([
        'script_errors',
        'audit_invariants_unknown',
        'audit_invariants_judged',
        'overlapping_pairs',
      ]),
    )
  },
  boundMs,
)

it(
  'nothing passes by a history with holes, whatever the rest of it says',
  async () => {
    const { exitCode, crossed } = await runAgainst({ remembersAll: false }, 'duplicate-payments')
    expect([exitCode, crossed]).toEqual([thresholdsCrossed, ['audit_invariants_unknown']])
  },
  boundMs,
)

interface Summary {
  readonly metrics: Record<string, { readonly thresholds?: Record<string, { readonly ok: boolean }> }>
}

async function runAgainst(spoilt: Partial<ShopManners>, name: string) {
  shop = await startFakeShop(spoilt)
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-k6-'))
  try {
    const summaryPath = join(folder, 'summary.json')
    const exitCode = await runK6(name, {
      REPLICAS: [shop.url, shop.url, shop.url].join(),
      GATEWAY_URL: shop.url,
      AUDITOR_URL: shop.url,
      RUN: 'test',
      API_KEY: 'key',
      ORDERS: '8',
      COPIES: '4',
      CONCURRENCY: '4',
      SETTLE_WITHIN_MS: '300',
      SUMMARY: summaryPath,
    })
    const { metrics }: Summary = JSON.parse(await readFile(summaryPath, 'utf8'))
    const crossed = Object.keys(metrics).filter((metric) =>
      Object.values(metrics[metric]?.thresholds ?? {}).some(({ ok }) => !ok),
    )
    return { exitCode, crossed }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The real k6: the set-up of `npm test` says where it is. Without one these tests fail; they are not skipped. */
function runK6(name: string, environment: Record<string, string>): Promise<number> {
  const args = ['run', '--quiet', '--no-usage-report', '--address', '', join(loadTests, `${name}.ts`)]
  const env = { ...process.env, ...environment, K6_AUTO_EXTENSION_RESOLUTION: 'false' }
  return new Promise((resolve, reject) => {
    execFile(process.env.K6_BIN ?? 'k6', args, { env, timeout: boundMs }, (error) => {
      if (error === null) resolve(0)
      else if (typeof error.code === 'number') resolve(error.code)
      else reject(new Error('k6 did not run; K6_BIN names one, and `npm test` sets it', { cause: error }))
    })
  })
}
