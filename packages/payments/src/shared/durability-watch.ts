import {
  type Database,
  type Durability,
  durabilityRisks,
  readDurability,
  unreadableDurability,
} from '@seatbelt/database'
import { Gauge, type Registry } from 'prom-client'

interface WatchOptions {
  readonly registry: Registry
  readonly log: {
    info(message: string): void
    warn(about: { readonly err: unknown }, message: string): void
  }
}

/** Connections come in bursts, of which one look is enough. */
const quietMs = 1_000
/**
 * How long a promotion may go unseen that brings no new connection, as behind a pooler. A look is one small statement;
 * a longer pause delays the line that tells a person to reconcile.
 */
const longestPauseMs = 60_000

/**
 * Reports which acknowledged commits the database may lose: at the start, after new connections, which may be to a
 * server that was promoted, and at least once a minute. By a log line where something changed, and by a metric.
 *
 * It never keeps a process from its work.
 */
export function createDurabilityWatch({ registry, log }: WatchOptions) {
  const gauge = new Gauge({
    name: 'database_commits_may_be_lost',
    help: 'Whether commits that were acknowledged may be lost, by why. What cannot be read counts as unsafe.',
    labelNames: ['risk'],
    registers: [registry],
  })
  let database: Pick<Database, 'query'> | null = null
  let last: Durability | null = null
  /** The last one that could be read: a look fails just while the server is being replaced. */
  let timeline: string | null = null
  let next: { readonly timer: NodeJS.Timeout; readonly atMs: number } | null = null
  let looking = Promise.resolve()
  let isClosed = false

  const look = async () => {
    if (database === null || isClosed) return
    // The database may be away again.
    const seen = await readDurability(database.query).catch(() => unreadableDurability)
    for (const risk of durabilityRisks) gauge.set({ risk }, seen.risks.includes(risk) ? 1 : 0)
    if (timeline !== null && seen.timeline !== null && seen.timeline !== timeline)
      log.warn(
        { err: seen },
        'the database was promoted or restored: commits may be lost; see docs/database-failover.md',
      )
    report(log, last, seen)
    last = seen
    timeline = seen.timeline ?? timeline
    lookWithin(longestPauseMs)
  }
  /** Never postpones a look that is due earlier, so that a stream of connections cannot starve it. */
  const lookWithin = (ms: number) => {
    const atMs = performance.now() + ms
    if (isClosed || (next !== null && next.atMs <= atMs)) return
    if (next !== null) clearTimeout(next.timer)
    const timer = setTimeout(() => {
      next = null
      looking = looking.then(look)
    }, ms)
    timer.unref()
    next = { timer, atMs }
  }
  return {
    start: (opened: Pick<Database, 'query'>) => {
      database = opened
      lookWithin(0)
    },
    onConnection: () => {
      if (last !== null) lookWithin(quietMs)
    },
    close: () => {
      isClosed = true
      if (next !== null) clearTimeout(next.timer)
      return looking
    },
  }
}

function report(log: WatchOptions['log'], last: Durability | null, seen: Durability): void {
  const { risks, remedy } = seen
  if (last !== null && last.risks.join() === risks.join()) return
  const toDo = remedy === null ? 'see docs/database-failover.md' : `as a superuser, run ${remedy}`
  if (risks.length > 0) log.warn({ err: seen }, `commits may be lost (${risks.join(', ')}): ${toDo}`)
  else if (last !== null) log.info('commits survive a crash of the database server and the promotion of a standby')
}
