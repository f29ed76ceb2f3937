import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '@seatbelt/lab/bench-locks/statistics.ts'
import type { LoadClient } from '../load/load-client.ts'
import type { Job } from '../load/slice.ts'
import { prepareJobs, type Target } from '../measure/prepare-jobs.ts'
import type { BenchPlan, OperationName } from '../plan.ts'
import type { RoundTrips } from '../report/bench-report.ts'
import { type BenchStack, type DatabaseOwner, ownerOf, servicesOf } from '../systems/start-bench-stack.ts'
import { type SystemName, systems } from '../systems/systems.ts'
import type { Trip } from './conversation.ts'
import { type CountingProxy, startCountingProxy } from './counting-proxy.ts'
import { followPostgres } from './postgres-conversation.ts'
import { followRedis } from './redis-conversation.ts'

export interface CountOptions {
  readonly plan: BenchPlan
  readonly bench: BenchStack
  readonly client: LoadClient
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** Unmeasured operations before the counted ones: the API key is cached and the statements are prepared then. */
const warmUpOperations = 5

/** Work after the answer, such as the release of a lock, belongs to the operation. */
const settlesWithinMs = 30

const suffix = '-counted'

/** The connections' own traffic, which no operation causes. */
const housekeeping = /^(?:connect|INFO|PING|CLIENT|HELLO|AUTH|SELECT \d+)\b/

interface Proxies {
  readonly postgres: CountingProxy
  readonly redis: CountingProxy
}

/** Counts the round trips of each system's operations with processes of their own, one operation at a time. */
export async function countRoundTrips(options: CountOptions, names: readonly SystemName[]): Promise<RoundTrips[]> {
  const counted: RoundTrips[] = []
  // Replicas and webhooks do not change what one request does.
  for (const system of names.filter((name) => name === ownerOf(name))) {
    options.signal.throwIfAborted()
    options.say(`round trips ${systems[system].title}`)
    counted.push(...(await countSystem(options, system, ownerOf(system))))
  }
  return counted
}

async function countSystem(options: CountOptions, system: SystemName, owner: DatabaseOwner): Promise<RoundTrips[]> {
  const { bench } = options
  const proxies = {
    postgres: await startCountingProxy(bench.databaseUrl(owner), followPostgres),
    redis: await startCountingProxy(bench.redisUrl, followRedis),
  }
  const services = servicesOf(owner, {
    databaseUrl: proxies.postgres.through(bench.databaseUrl(owner)),
    redisUrl: proxies.redis.through(bench.redisUrl),
    suffix,
    instances: 1,
  })
  const instances = services.flatMap((service) => service.instances.map(({ name }) => name))
  try {
    await bench.stack.add(services)
    const counted: RoundTrips[] = []
    for (const operation of operationsOf(system))
      counted.push(await countOperation(options, { system, operation, proxies }))
    return counted
  } finally {
    await Promise.all(instances.map((name) => bench.stack.kill(name)))
    await Promise.all([proxies.postgres.close(), proxies.redis.close()])
  }
}

function operationsOf(system: SystemName): OperationName[] {
  const { replays, bookings } = systems[system]
  const selling: OperationName[] = bookings.length > 0 ? ['hold', 'checkout'] : []
  return ['payment', ...(replays ? (['replay'] as const) : []), ...selling]
}

interface Counting {
  readonly system: SystemName
  readonly operation: OperationName
  readonly proxies: Proxies
}

async function countOperation(options: CountOptions, { system, operation, proxies }: Counting): Promise<RoundTrips> {
  const { bench, client, plan } = options
  const booking = operation === 'hold' || operation === 'checkout'
  const instances = booking ? systems[system].bookings : systems[system].payments
  const origins = [bench.stack.url(`${instances[0]}${suffix}`)]
  const target = { client, origins, authorization: bench.authorization }
  const jobs = await prepareJobs(
    operation === 'replay' ? 'payment' : operation,
    target,
    warmUpOperations + plan.countedOperations,
  )
  if (operation === 'replay') for (const job of jobs) await sendOne(target, job, false)
  const samples: { postgres: number; redis: number; trips: RoundTrips['trips'] }[] = []
  for (const [index, job] of jobs.entries()) {
    const before = { postgres: proxies.postgres.trips.length, redis: proxies.redis.trips.length }
    await sendOne(target, job, operation === 'replay')
    await sleep(settlesWithinMs)
    if (index < warmUpOperations) continue
    const postgres = tripsSince(proxies.postgres, before.postgres)
    const redis = tripsSince(proxies.redis, before.redis)
    samples.push({
      postgres: postgres.length,
      redis: redis.length,
      trips: [...named('postgres', postgres), ...named('redis', redis)],
    })
  }
  const postgres = median(samples.map((sample) => sample.postgres)) ?? 0
  const redis = median(samples.map((sample) => sample.redis)) ?? 0
  const typical = samples.find((sample) => sample.postgres === postgres && sample.redis === redis)
  return {
    system,
    operation,
    postgres,
    redis,
    samples: samples.map((sample) => ({ postgres: sample.postgres, redis: sample.redis })),
    trips: typical?.trips ?? [],
  }
}

function tripsSince({ trips }: CountingProxy, before: number): Trip[] {
  // A trip without a statement, such as one that only prepares, is the operation's.
  const isHousekeeping = ({ carried }: Trip) => carried.length > 0 && carried.every((text) => housekeeping.test(text))
  return trips.slice(before).filter((trip) => !isHousekeeping(trip))
}

function named(to: 'postgres' | 'redis', trips: readonly Trip[]): RoundTrips['trips'] {
  return trips.map(({ carried }) => ({ to, carried: carried.map((text) => text.slice(0, 200)) }))
}

async function sendOne({ client, origins, authorization }: Target, job: Job, replayed: boolean): Promise<void> {
  await client.run({
    origins,
    authorization,
    jobs: [job],
    inFlight: 1,
    leadMs: 0,
    windowMs: null,
    repeats: false,
    expected: { status: 201, replayed },
    retriesUnavailable: false,
    watched: { api: [], postgres: null, redis: null, simulator: null },
    returnsBodies: false,
  })
}
