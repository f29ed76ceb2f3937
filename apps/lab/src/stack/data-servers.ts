import { setTimeout as sleep } from 'node:timers/promises'
import type { Run } from '../../../../scripts/run-records.mjs'
import { postgresPort, redisPort } from './description.ts'
import { findFreePorts } from './free-ports.ts'
import { answersQueries, preparePostgres } from './postgres-server.ts'
import { findRedis } from './redis-binary.ts'
import { planRedis } from './redis-server.ts'
import type { ProcessPlan, Supervisor } from './supervisor.ts'

export interface DataServers {
  /** What DATABASE_URL gave; null: our own server runs, and nobody has made a database on it yet. */
  readonly databaseUrl: string | null
  /** A database from which others can be created. */
  readonly maintenanceUrl: string
  readonly redisUrls: readonly string[]
}

export interface DataServerOptions {
  readonly root: string
  readonly run: Run
  readonly supervisor: Supervisor
  readonly cache: string
  readonly preferFixedPorts: boolean
  readonly fsync: boolean
  readonly say: (text: string) => void
  readonly signal?: AbortSignal | undefined
}

/** A server that was named by somebody is expected to run already. */
const givenServerWithinMs = 10_000

/** Starts PostgreSQL and Redis, each unless DATABASE_URL or REDIS_URLS names one. Resolves when both can be used. */
export async function startDataServers(options: DataServerOptions): Promise<DataServers> {
  const { DATABASE_URL: databaseUrl, REDIS_URLS: redisUrls } = process.env
  const [pgPort = 0, redisServerPort = 0] = await findFreePorts(
    options.preferFixedPorts ? [postgresPort, redisPort] : [null, null],
  )
  const plans: ProcessPlan[] = []
  const postgres = databaseUrl ? null : await preparePostgres({ ...options, port: pgPort })
  if (postgres !== null) plans.push(postgres.plan)
  const redis = redisUrls ? null : planRedis(await findOwnRedis(options), options.run, redisServerPort)
  if (redis !== null) plans.push(redis.plan)
  if (databaseUrl) await checkGiven(databaseUrl, options.signal)
  if (plans.length > 0) await options.supervisor.start(plans)
  return {
    databaseUrl: databaseUrl || null,
    maintenanceUrl: postgres?.url ?? databaseUrl ?? '',
    redisUrls: redis === null ? splitUrls(redisUrls ?? '') : [redis.url],
  }
}

function findOwnRedis({ cache, run, say, signal }: DataServerOptions): Promise<string> {
  return findRedis({ cache, environment: process.env, logs: run.logs, say, signal })
}

function splitUrls(list: string): string[] {
  return list
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '')
}

async function checkGiven(databaseUrl: string, signal: AbortSignal | undefined): Promise<void> {
  const deadline = performance.now() + givenServerWithinMs
  while (!(await answersQueries(databaseUrl))) {
    signal?.throwIfAborted()
    if (performance.now() > deadline) {
      // Without its password.
      const { hostname, port, pathname } = new URL(databaseUrl)
      throw Object.assign(
        new Error(`DATABASE_URL is set, but ${hostname}:${port || 5432}${pathname} takes no queries.`),
        {
          expected: true,
        },
      )
    }
    await sleep(200)
  }
}
