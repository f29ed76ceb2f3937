import { chmodSync, mkdtempSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrate } from '@seatbelt/database'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { closeRun, openRun, type Run, reapAbandonedRuns, recordFolder } from '../../../../scripts/run-records.mjs'
import { startDataServers } from './data-servers.ts'
import { lookForK6 } from './k6-binary.ts'
import { runStatement, withDatabaseName } from './maintenance.ts'
import { findRedis } from './redis-binary.ts'
import { supervise } from './supervisor.ts'

/** What tests read from their environment. */
export interface TestServers {
  readonly environment: {
    readonly TEST_DATABASE_URL: string
    readonly TEST_REDIS_URL: string
    readonly REDIS_SERVER_BIN: string
    /** What tests put there goes with the run, also when they are interrupted. */
    readonly TMPDIR: string
    /** Where there is one; `npm test` sees to that, tests started by hand say what they lack. */
    readonly K6_BIN?: string
  }
  stop(): Promise<void>
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../../..')

/** The database that packages/testing clones for each test. */
const templateName = 'seatbelt_template'

/**
 * For vitest: one PostgreSQL and one Redis for all tests, and the template database. Servers that the environment gives
 * (TEST_DATABASE_URL and TEST_REDIS_URL, or DATABASE_URL and REDIS_URLS) are used instead of started.
 */
export default async function setUpTests(): Promise<() => Promise<void>> {
  const { TEST_DATABASE_URL: databaseUrl, TEST_REDIS_URL: redisUrl } = process.env
  const servers = databaseUrl && redisUrl ? null : await startTestServers({ root, say: console.log })
  Object.assign(process.env, servers?.environment)
  try {
    await makeTemplate(servers?.environment.TEST_DATABASE_URL ?? databaseUrl ?? '')
  } catch (error) {
    await servers?.stop()
    throw error
  }
  return async () => servers?.stop()
}

export interface TestServerOptions {
  readonly root: string
  readonly say: (text: string) => void
  readonly signal?: AbortSignal | undefined
  /** Of the run, in its records. */
  readonly purpose?: 'test' | 'explore'
}

/** Starts the servers of a test run, in a run of their own. Nothing is left running when it rejects. */
export async function startTestServers(options: TestServerOptions): Promise<TestServers> {
  const { root: checkout, say, signal, purpose = 'test' } = options
  const stateFolder = resolve(checkout, '.seatbelt')
  await reapAbandonedRuns(stateFolder)
  const run = openRun(stateFolder, purpose)
  const supervisor = supervise(run, signal)
  const stop = async () => {
    await supervisor.stop()
    closeRun(run)
  }
  const cache = cacheFolder()
  try {
    const redisBinary = await findRedis({ cache, environment: process.env, logs: run.logs, say, signal })
    const servers = await startDataServers({
      root: checkout,
      run,
      supervisor,
      cache,
      preferFixedPorts: false,
      // Databases of a test are thrown away, and no test pulls the plug: what commits wait for the disk for is not there to lose.
      fsync: false,
      say,
      signal,
    })
    const k6 = lookForK6({ cache, environment: process.env })
    const environment = {
      ...(k6 === null ? {} : { K6_BIN: k6 }),
      TEST_DATABASE_URL: servers.maintenanceUrl,
      TEST_REDIS_URL: servers.redisUrls[0] ?? '',
      REDIS_SERVER_BIN: redisBinary,
      TMPDIR: makeTemporaryFolder(run),
    }
    return { environment, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function makeTemporaryFolder(run: Run): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'seatbelt-test-'))
  recordFolder(run, folder)
  // A PostgreSQL that a test starts below it may have to run as another user than root.
  chmodSync(folder, 0o711)
  return folder
}

/** A migrated database without rows, made anew: a kept one could be of yesterday's schema. */
export async function makeTemplate(maintenanceUrl: string): Promise<void> {
  await runStatement(maintenanceUrl, `DROP DATABASE IF EXISTS ${templateName} WITH (FORCE)`)
  await runStatement(maintenanceUrl, `CREATE DATABASE ${templateName}`)
  await migrate(withDatabaseName(maintenanceUrl, templateName))
}
