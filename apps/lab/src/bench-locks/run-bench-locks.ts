import { setTimeout as sleep } from 'node:timers/promises'
import { createRedisLock, createRedlock, createSessionLock } from '@seatbelt/locks'
import type { Redis } from 'ioredis'
import pg from 'pg'
import type { Verdict } from '../auditor/invariant.ts'
import { type Comparison, compareThroughput } from './compare-throughput.ts'
import { connectRedis } from './connect-redis.ts'
import { fillDocument } from './fill-document.ts'
import { type ForcedLosses, forceLosses, type LossPlan } from './force-losses.ts'
import { forceQuorumLosses } from './force-quorum-losses.ts'
import { createRatio, judgeReport, type LockSeries, type LocksReport, type Ratio } from './locks-report.ts'
import { measureContention } from './measure-contention.ts'
import { measureHeartbeat } from './measure-heartbeat.ts'
import { measureValidity } from './measure-validity.ts'
import { type PinnedConnections, watchPinnedConnections } from './pinned-connections.ts'
import { type BenchPlan, fullPlan, quickPlan } from './plan.ts'
import { readMachine } from './read-machine.ts'
import { createPackageRedlock } from './redlock-packages.ts'
import { renderSummary } from './render-summary.ts'
import { type BenchServers, startServers } from './start-servers.ts'
import { rounded } from './statistics.ts'
import {
  bareCommands,
  bareCommandsByHash,
  createRows,
  houseLock,
  optimistic,
  packageLock,
  packageSettings,
  type Strategy,
  sessionLock,
  transactionLock,
  transactionLockWithWrite,
  ttlMs,
} from './strategies.ts'
import { writeReport } from './write-report.ts'

export interface BenchLocksOptions {
  readonly root: string
  /** Some twenty seconds instead of six minutes, without figures that mean anything, in a report of its own. */
  readonly quick: boolean
  /** Writes the figures into docs/choosing-a-lock.md. */
  readonly fillDocument: boolean
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const satisfies Record<Verdict, number>

/** No single command is waited for longer: a budget that noise alone uses up would measure the noise. */
const commandBudgetMs = 500
/** The most contenders, and some room. */
const poolSize = 40

/** What was found so far. It outlives the phases, so that there is a report also when one of them fails. */
interface Findings {
  readonly ratios: Map<string, Ratio>
  readonly facts: Record<string, number | null>
  series: LockSeries[]
}

/** Measures the locks beside each other. Its report is always written. Resolves to the exit code: 0 valid, 1 invalid, 2 unknown. */
export async function runBenchLocks(options: BenchLocksOptions): Promise<number> {
  const { root, quick, say, signal } = options
  const startedAt = new Date()
  const machine = readMachine()
  const findings: Findings = { ratios: new Map(goals.map((goal) => [goal.name, goal])), facts: {}, series: [] }
  let versions: { postgres: string | null; redis: string | null } = { postgres: null, redis: null }
  let brokenOffBecause: string | null = null
  try {
    say('servers     starting PostgreSQL and five redis-servers ...')
    const servers = await startServers(options)
    try {
      versions = await measureAll(servers, quick ? quickPlan : fullPlan, options, findings)
    } finally {
      await servers.stop()
    }
  } catch (error) {
    brokenOffBecause = signal.aborted
      ? `interrupted by ${String(signal.reason)}`
      : String(error instanceof Error ? (error.stack ?? error) : error)
  }
  // A quick run is too short to hold or to miss anything.
  const ratios = [...findings.ratios.values()].map((ratio) => (quick ? { ...ratio, holds: null } : ratio))
  const report: LocksReport = {
    ...judgeReport(ratios, { quick, brokenOffBecause }),
    startedAt: startedAt.toISOString(),
    durationSeconds: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
    quick,
    machine: { ...machine, ...versions },
    ...{ ratios, series: findings.series, facts: findings.facts },
  }
  const page = writeReport(root, quick ? 'locks-quick' : 'locks', report)
  say(renderSummary(report))
  say(`Report: ${page}`)
  if (options.fillDocument && !quick && brokenOffBecause === null) say(fillDocument(root, report))
  signal.throwIfAborted()
  return exitCodes[report.verdict]
}

const goals: readonly Ratio[] = [
  createRatio(
    { name: 'redis-lock-to-bare', what: 'redis-lock to bare SET NX + EVAL, throughput, 32 in flight', goal: 0.9 },
    null,
  ),
  createRatio(
    {
      name: 'redis-lock-to-bare-alone',
      what: 'redis-lock to bare SET NX + EVAL, throughput, one in flight',
      goal: 0.9,
    },
    null,
  ),
  createRatio(
    { name: 'redlock-to-package', what: 'hardened quorum to redlock, throughput, 32 in flight', goal: 0.9 },
    null,
  ),
  createRatio(
    { name: 'redlock-to-package-alone', what: 'hardened quorum to redlock, throughput, one in flight', goal: 0.9 },
    null,
  ),
  createRatio(
    { name: 'abort-before-expiry', what: 'share of forced losses in which the signal came before the expiry', goal: 1 },
    null,
  ),
  createRatio({ name: 'forced-losses', what: 'losses that were forced for it, and observed', goal: 1_000 }, null),
  createRatio(
    {
      name: 'abort-before-expiry-redlock',
      what: 'share of forced losses of the hardened quorum in which the signal came before the expiry',
      goal: 1,
    },
    null,
  ),
  createRatio(
    { name: 'forced-losses-redlock', what: 'losses of the quorum that were forced for it, and observed', goal: 1_000 },
    null,
  ),
  createRatio(
    {
      name: 'leases-below-minimum',
      what: 'leases of the hardened quorum handed out with less than the asked minimum left',
      goal: 0,
      goalIs: 'at most',
    },
    null,
  ),
  createRatio(
    {
      name: 'heartbeat-cpu',
      what: 'heartbeat of 10,000 held leases with a TTL of 30 s, share of one core',
      goal: 0.05,
      goalIs: 'at most',
    },
    null,
  ),
  createRatio(
    {
      name: 'redis-lock-to-bare-evalsha-alone',
      what: 'redis-lock to bare SET NX + EVALSHA, one in flight',
      goal: null,
    },
    null,
  ),
  createRatio(
    {
      name: 'redlock-to-sesamecare-alone',
      what: 'hardened quorum to @sesamecare-oss/redlock, one in flight',
      goal: null,
    },
    null,
  ),
  createRatio(
    { name: 'redis-lock-to-bare-evalsha', what: 'redis-lock to bare SET NX + EVALSHA, 32 in flight', goal: null },
    null,
  ),
  createRatio(
    { name: 'redlock-to-sesamecare', what: 'hardened quorum to @sesamecare-oss/redlock, 32 in flight', goal: null },
    null,
  ),
  createRatio(
    {
      name: 'heartbeat-cpu-ttl-10s',
      what: 'heartbeat of 10,000 held leases with a TTL of 10 s, share of one core',
      goal: null,
      goalIs: 'at most',
    },
    null,
  ),
]

function note({ ratios }: Findings, name: string, value: number | null): void {
  const ratio = ratios.get(name)
  if (ratio === undefined) throw new Error(`there is no ratio ${name}`)
  ratios.set(name, createRatio(ratio, rounded(value)))
}

/** The phases, in the order in which they disturb their servers: only measured, then suspended, forbidden to answer, killed. */
async function measureAll(
  servers: BenchServers,
  plan: BenchPlan,
  { say, signal }: BenchLocksOptions,
  findings: Findings,
): Promise<{ postgres: string | null; redis: string | null }> {
  const nodes = await Promise.all(servers.redisUrls.map(connectRedis))
  const [first] = nodes
  if (first === undefined) throw new Error('there is no Redis')
  const pools = [createPool(servers.databaseUrl), createPool(servers.databaseUrl)] as const
  const pinned = watchPinnedConnections(pools)
  const mayVoteFromMs = performance.now() + rejoinedWithinMs
  const strategies = await createStrategies(first, nodes, pools)
  try {
    await Promise.all(pools.map(openConnections))
    await createRows(pools[0], 1_000)
    await sleep(Math.max(0, mayVoteFromMs - performance.now()), undefined, { signal })
    await compareAll(strategies, plan, { pinned, say, signal, findings })
    say('heartbeat   holding leases, and looking at what their renewal costs ...')
    await lookAtHeartbeats(first, plan, { signal, findings })
    say('validity    asking for leases while three of five nodes are suspended again and again ...')
    await lookAtValidity(nodes, servers, plan, { signal, findings })
    say('losses      making held leases impossible to renew ...')
    await lookAtLosses(servers, plan, { signal, findings })
    return { postgres: await postgresVersion(pools[0]), redis: await redisVersion(first) }
  } finally {
    for (const node of nodes) node.disconnect()
    await Promise.all(pools.map((pool) => pool.end()))
  }
}

/** A node that has just been started may have forgotten locks; for one TTL, the drift and the whole seconds of its uptime it does not vote. */
const rejoinedWithinMs = ttlMs * 1.01 + 1_500

interface Strategies {
  readonly redisLock: Strategy
  readonly bare: Strategy
  readonly bareByHash: Strategy
  readonly redlock: Strategy
  readonly packages: readonly [Strategy, Strategy]
  readonly contended: readonly Strategy[]
}

async function createStrategies(
  first: Redis,
  nodes: readonly Redis[],
  [pool, sessionPool]: readonly [pg.Pool, pg.Pool],
): Promise<Strategies> {
  const redisLock = houseLock('redis-lock', createRedisLock({ client: first, commandBudgetMs }), [first])
  const redlock = houseLock('redlock-hardened', createRedlock({ nodes, commandBudgetMs, longestTtlMs: ttlMs }), nodes)
  const bare = bareCommands(first)
  const packages = [
    packageLock('redlock', createPackageRedlock('redlock', nodes, packageSettings)),
    packageLock('sesamecare-redlock', createPackageRedlock('sesamecare-redlock', nodes, packageSettings)),
  ] as const
  const session = sessionLock(createSessionLock({ connect: () => sessionPool.connect(), commandBudgetMs }))
  const inPostgres = [transactionLock(pool), transactionLockWithWrite(pool), session, optimistic(pool)]
  return {
    ...{ redisLock, bare, redlock, packages, bareByHash: await bareCommandsByHash(first) },
    contended: [redisLock, bare, redlock, ...packages, ...inPostgres],
  }
}

function createPool(connectionString: string): pg.Pool {
  // Kept while others have their turn: a connection that is made during a slice would be measured with it.
  const pool = new pg.Pool({ connectionString, max: poolSize, connectionTimeoutMillis: 10_000, idleTimeoutMillis: 0 })
  // A connection that ends while nobody uses it is replaced by the next who asks.
  pool.on('error', () => undefined)
  return pool
}

async function openConnections(pool: pg.Pool): Promise<void> {
  const clients = await Promise.all(Array.from({ length: poolSize }, () => pool.connect()))
  for (const client of clients) client.release()
}

interface Phase {
  readonly signal: AbortSignal
  readonly findings: Findings
}

/** Everything that is compared, in rounds over the whole time. */
async function compareAll(
  { redisLock, bare, bareByHash, redlock, packages, contended }: Strategies,
  plan: BenchPlan,
  { say, findings, ...context }: Phase & Pick<BenchLocksOptions, 'say'> & { readonly pinned: PinnedConnections },
): Promise<void> {
  const compare = (strategies: readonly [Strategy, ...Strategy[]]) =>
    plan.comparisons.inFlight.map((inFlight) => compareThroughput(strategies, { ...plan.comparisons, inFlight }))
  const ofRedis = compare([redisLock, bare, bareByHash])
  const ofQuorums = compare([redlock, ...packages])
  const contention = measureContention(contended, plan.contention, context)

  for (let round = 1; round <= plan.rounds; round++) {
    say(
      `round ${round} of ${plan.rounds}, ratios: redis-lock and the bare commands, the hardened quorum and the packages ...`,
    )
    for (const comparison of [...ofRedis, ...ofQuorums]) await comparison.run(plan.comparisons.rounds, context)
    say(
      `round ${round} of ${plan.rounds}, contention: ${contended.length} strategies in ${plan.contention.cells.length} cells ...`,
    )
    await contention.runRound()
    findings.series = contention.series()
  }
  for (const comparison of ofRedis)
    noteRatios(findings, comparison, 'redis-lock-to-', { bare, 'bare-evalsha': bareByHash })
  const [original, sesamecare] = packages
  for (const comparison of ofQuorums) noteRatios(findings, comparison, 'redlock-to-', { package: original, sesamecare })
}

function noteRatios(
  findings: Findings,
  { inFlight, ratioTo, throughputs }: Comparison,
  prefix: string,
  others: Readonly<Record<string, Strategy>>,
): void {
  const suffix = inFlight === 1 ? '-alone' : ''
  for (const [name, other] of Object.entries(others)) note(findings, `${prefix}${name}${suffix}`, ratioTo(other))
  for (const [name, perSecond] of throughputs()) {
    findings.facts[`${name}-per-second-${inFlight}-in-flight`] = rounded(perSecond)
  }
}

async function lookAtHeartbeats(client: Redis, { heartbeats }: BenchPlan, { signal, findings }: Phase): Promise<void> {
  for (const heartbeat of heartbeats) {
    const { cpuShare } = await measureHeartbeat(client, heartbeat, signal)
    const name = `heartbeat-cpu-${heartbeat.leases}-leases-ttl-${heartbeat.ttlMs}-ms`
    findings.facts[name] = rounded(cpuShare)
    const ratio = heartbeatRatios.get(name)
    if (ratio !== undefined) note(findings, ratio, cpuShare)
  }
}

/** What is measured with fewer leases, in a quick run, is not what these ask for. */
const heartbeatRatios: ReadonlyMap<string, string> = new Map([
  ['heartbeat-cpu-10000-leases-ttl-30000-ms', 'heartbeat-cpu'],
  ['heartbeat-cpu-10000-leases-ttl-10000-ms', 'heartbeat-cpu-ttl-10s'],
])

async function lookAtValidity(
  nodes: readonly Redis[],
  { suspendRedis }: BenchServers,
  { validityMs }: BenchPlan,
  { signal, findings }: Phase,
): Promise<void> {
  const { house, packages } = await measureValidity(nodes, suspendRedis, { durationMs: validityMs, signal })
  note(findings, 'leases-below-minimum', house.leases === 0 ? null : house.belowMinimum)
  for (const [name, { leases, belowMinimum, leastLeftMs }] of Object.entries({ house, ...packages })) {
    findings.facts[`validity-${name}-leases`] = leases
    findings.facts[`validity-${name}-below-minimum`] = belowMinimum
    findings.facts[`validity-${name}-least-left-ms`] = rounded(leastLeftMs)
  }
}

/** The quorum comes last: some of its nodes are killed. */
async function lookAtLosses(
  { redisUrls, suspendRedis, killRedis }: BenchServers,
  { losses: plan, quorumLosses: quorumPlan }: BenchPlan,
  { signal, findings }: Phase,
): Promise<void> {
  const last = redisUrls.length - 1
  const ofOne = await forceLosses(redisUrls[last] ?? '', () => suspendRedis(last), plan, signal)
  noteLosses(findings, '', plan, ofOne)
  const ofQuorum = await forceQuorumLosses(redisUrls, { suspend: suspendRedis, kill: killRedis }, quorumPlan, signal)
  noteLosses(findings, '-redlock', quorumPlan, ofQuorum)
}

function noteLosses(
  findings: Findings,
  suffix: string,
  { ttlMs }: LossPlan,
  { losses, toldInTime, leastMarginMs }: ForcedLosses,
): void {
  note(findings, `forced-losses${suffix}`, losses)
  note(findings, `abort-before-expiry${suffix}`, losses === 0 ? null : toldInTime / losses)
  findings.facts[`loss-ttl-ms${suffix}`] = ttlMs
  findings.facts[`loss-least-margin-ms${suffix}`] = rounded(leastMarginMs)
}

async function postgresVersion(pool: pg.Pool): Promise<string | null> {
  const { rows } = await pool.query<{ server_version: string }>('SHOW server_version')
  return rows[0]?.server_version ?? null
}

async function redisVersion(client: Redis): Promise<string | null> {
  return /^(?:valkey_version|redis_version):(\S+)/m.exec(await client.info('server'))?.[1] ?? null
}
