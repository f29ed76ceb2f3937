import { createLogger, listen } from '@seatbelt/http'
import pg from 'pg'
import { readAuditorConfig } from './config.ts'
import { createAuditor } from './create-auditor.ts'
import { countOwedEvents, followLedger } from './follow-ledger.ts'
import { followMail } from './follow-mail.ts'
import { createMeetingPlace } from './meeting-place.ts'
import { countUnsettled, readBooks, readClock } from './read-books.ts'
import { createRunStore } from './run-store.ts'
import { watchCapacity } from './watch-capacity.ts'

/** One verdict reads, one watch looks, another process may ask whether we are ready: no more is ever needed. */
const connections = 3
/** Reading a whole table of the largest run takes seconds; what takes longer than this is broken. */
const statementTimeoutMs = 30_000

const config = readAuditorConfig()
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const pool = new pg.Pool({
  connectionString: config.DATABASE_URL,
  max: connections,
  application_name: config.INSTANCE,
  connectionTimeoutMillis: 5_000,
  statement_timeout: statementTimeoutMs,
  // Where the server itself hangs, it cannot keep that bound: we do.
  query_timeout: statementTimeoutMs + 5_000,
})
// A connection that breaks while idle is replaced by the next query; without a listener it would end the process.
pool.on('error', (error) => logger.warn({ err: error }, 'an idle connection broke'))

const watch = watchCapacity(pool, {
  onMissed: (error) => logger.debug({ err: error }, 'a look at tiers and sections was missed'),
})

/** Set by the first answer of the database. Nobody is told that we are ready before. */
let watchingSince: Date | null = null

async function isReady(): Promise<boolean> {
  try {
    const now = await readClock(pool)
    watchingSince ??= now
    return true
  } catch {
    return false
  }
}

await listen({
  app: createAuditor({
    runs: createRunStore(),
    meetings: createMeetingPlace(),
    summonWitnesses: async () => {
      watchingSince ??= await readClock(pool)
      const since = watchingSince
      return {
        since,
        ledger: followLedger(config.GATEWAY_URL),
        mail: config.MAIL_SINK_URL === undefined ? null : followMail(config.MAIL_SINK_URL),
        countUnsettled: async () => (await countUnsettled(pool, since)) + (await countOwedEvents(config.GATEWAY_URL)),
        readBooks: () => readBooks(pool, watch.seen()),
      }
    },
    onError: (error) => logger.error({ err: error }, 'a request failed'),
  }),
  host: config.HOST,
  port: config.PORT,
  isReady,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  onDrained: async () => {
    await watch.stop()
    await pool.end()
  },
})
