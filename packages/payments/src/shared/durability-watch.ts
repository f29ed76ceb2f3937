import { type Database, type Durability, durabilityRisks, readDurability } from '@seatbelt/database'
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
 * Reports which acknowledged commits the database may lose: at the start, and after new connections, which may be to a
 * server that was promoted. By a log line where something changed, and by a metric.
 *
 * It never keeps a process from its work. Behind a pooler, a promotion shows only when the pooler's clients reconnect.
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
  let timer: NodeJS.Timeout | null = null
  let looking = Promise.resolve()
  let isClosed = false

  const look = async () => {
    timer = null
    if (database === null || isClosed) return
    // The database may be away again. Its next connection brings another look.
    const seen = await readDurability(database.query).catch(() => unreadable)
    for (const risk of durabilityRisks) gauge.set({ risk }, seen.risks.includes(risk) ? 1 : 0)
    if (timeline !== null && seen.timeline !== null && seen.timeline !== timeline)
      log.warn(
        { err: seen },
        'the database was promoted or restored: commits may be lost; see docs/database-failover.md',
      )
    report(log, last, seen)
    last = seen
    timeline = seen.timeline ?? timeline
  }
  const schedule = (ms: number) => {
    timer ??= setTimeout(() => {
      looking = look()
    }, ms)
    timer.unref()
  }
  return {
    start: (opened: Pick<Database, 'query'>) => {
      database = opened
      schedule(0)
    },
    onConnection: () => {
      if (last !== null) schedule(quietMs)
    },
    close: () => {
      isClosed = true
      if (timer) clearTimeout(timer)
      return looking
    },
  }
}

const unreadable: Durability = { risks: ['unreadable'], timeline: null, standbys: null }

function report(log: WatchOptions['log'], last: Durability | null, seen: Durability): void {
  const { risks } = seen
  if (last !== null && last.risks.join() === risks.join()) return
  if (risks.length > 0)
    log.warn({ err: seen }, `commits may be lost (${risks.join(', ')}): see docs/database-failover.md`)
  else if (last !== null) log.info('commits survive a crash of the database server and the promotion of a standby')
}
