import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { closeRun, openRun, reapAbandonedRuns } from '../../../../scripts/run-records.mjs'
import { findFreePorts } from '../stack/free-ports.ts'
import { preparePostgres } from '../stack/postgres-server.ts'
import { findRedis } from '../stack/redis-binary.ts'
import { planRedis } from '../stack/redis-server.ts'
import { supervise } from '../stack/supervisor.ts'

export interface BenchServers {
  readonly databaseUrl: string
  readonly redisUrls: readonly string[]
  /** Stops a Redis as SIGSTOP does: its connections stay, and nobody answers. Resolves to how it is woken up. */
  suspendRedis(index: number): () => void
  /** SIGKILL, as a crash would be; it is not started again. */
  killRedis(index: number): Promise<void>
  stop(): Promise<void>
}

export interface BenchServerOptions {
  readonly root: string
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** The least number of which two may be lost. */
const redisCount = 5

/**
 * One PostgreSQL, which waits for its disk as a real one does, and five Redis. Always our own, whatever DATABASE_URL and REDIS_URLS
 * name: some of these measurements suspend a server or forbid it commands. Nothing is left running when it rejects.
 */
export async function startServers({ root, say, signal }: BenchServerOptions): Promise<BenchServers> {
  const stateFolder = `${root}/.seatbelt`
  await reapAbandonedRuns(stateFolder)
  const run = openRun(stateFolder, 'bench:locks')
  const supervisor = supervise(run, signal)
  const stop = async () => {
    await supervisor.stop()
    closeRun(run)
  }
  try {
    const binary = await findRedis({ cache: cacheFolder(), environment: process.env, logs: run.logs, say, signal })
    const [pgPort = 0, ...redisPorts] = await findFreePorts(Array.from({ length: 1 + redisCount }, () => null))
    const postgres = await preparePostgres({ root, run, port: pgPort, fsync: true, signal })
    const nodes = redisPorts.map((port) => planRedis(binary, run, port))
    await supervisor.start([postgres.plan, ...nodes.map(({ plan }, index) => ({ ...plan, name: redisName(index) }))])
    return {
      databaseUrl: postgres.url,
      redisUrls: nodes.map(({ url }) => url),
      suspendRedis: (index) => suspend(supervisor.pid(redisName(index))),
      killRedis: (index) => supervisor.kill(redisName(index)),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function redisName(index: number): string {
  return `redis-${index + 1}`
}

function suspend(pid: number | null): () => void {
  if (pid === null) throw new Error('a Redis that has ended cannot be suspended')
  process.kill(pid, 'SIGSTOP')
  return () => void process.kill(pid, 'SIGCONT')
}
