import type { Database } from '@seatbelt/database'
import { backoffMs } from '@seatbelt/locks'
import { longestPauseMs, outageMs, throughOutage } from '@seatbelt/safety'
import { SendFailure } from './send-failure.ts'

export interface RelayOptions extends RelayTimes {
  readonly database: Database
  readonly channel: Channel
  /**
   * Messages of one account that are sent at once, where not all receivers are the same: fewer than there are lanes, so that one
   * account's endpoint that hangs does not keep everybody's messages. A fairness, not a guarantee: lanes that ask in the same
   * moment may take one more, and each process counts its own.
   */
  readonly perAccount?: number
  /** Resolves when the receiver has confirmed the message, or fails, within the deadline. `SendFailure`: it was not delivered. */
  readonly send: (message: Message) => Promise<void>
  /** Told of faults of the database that are ridden out, and of those of our own in the sending. */
  readonly reportFault: (fault: unknown, messageId: string) => void
}

export type Channel = 'receipt' | 'webhook'

export interface RelayTimes {
  /** The most that `send` may take as a whole. */
  readonly sendDeadlineMs: number
  /** How long a message belongs to the relay that took it. After a crash it is sent again when this is over. */
  readonly leaseMs: number
}

/** A message as its present owner took it. */
export interface Message {
  /** The same with every try, and the receiver's way of knowing a copy. */
  readonly id: string
  readonly topic: string
  /** A mail address; null for webhooks. */
  readonly recipient: string | null
  readonly payload: unknown
  readonly createdAt: Date
  /** Where the account's webhooks go at this moment. */
  readonly endpoint: { readonly url: string; readonly secrets: readonly string[] } | null
}

export interface Relayed {
  readonly id: string
  /**
   * `failed`: it is tried again later. `dead`: it was given up, until a person replays it. `superseded`: this relay was paused
   * past its lease, and another one owns the message. `late`: so much of the lease was over that nothing was sent.
   */
  readonly result: 'sent' | 'failed' | 'dead' | 'superseded' | 'late'
  /** Why, where it was not sent. */
  readonly error: string | null
}

/** One statement at its worst: 2 s for a connection, 8 s for a server that hangs (packages/database). */
const statementMs = 10_000
/** To write down what came of a message while the database restarts. */
const publishBudgetMs = outageMs + statementMs

/**
 * Pauses of 1 to 2 s, 2 to 4 s and so on up to 2 to 4 h, half of each left to chance: a receiver that restarts loses seconds,
 * and one that comes back after a night meets no herd.
 */
const firstPauseMs = 2_000
const longestRetryPauseMs = 4 * 3_600_000
/** With those pauses the last try comes after 14 to 29 hours: longer than any night in which nobody looks. */
export const maxAttempts = 20
/** Enough for a person to know what happened; a receiver's words must not fill our tables. */
const maxErrorLength = 300

/** Why these times cannot work together, or null. Twin of `leaseProblem` of payments. */
export function relayLeaseProblem({ sendDeadlineMs, leaseMs }: RelayTimes): string | null {
  const shortestMs = statementMs + sendDeadlineMs + publishBudgetMs
  if (leaseMs >= shortestMs) return null
  return `${leaseMs} ms is too short: taking a message, sending it within ${sendDeadlineMs} ms and writing that down can take ${shortestMs} ms`
}

/**
 * Makes a relay: each call takes one message that is due, sends it, and marks it. Null: none is due.
 *
 * Guarantees: a message is sent at least once, and twice only where a relay died, was paused past its lease or lost an answer
 * between the sending and the mark; a copy carries the same id. Of many relays one owns a message (SKIP LOCKED), and one that
 * was deposed marks nothing (the generation). No transaction is open while it sends.
 * Does not guarantee: any order of messages.
 * Fails with: database faults. The lease then runs out, and the message is due again.
 * Source: "Transactional outbox" and "Polling publisher", microservices.io; `FOR UPDATE SKIP LOCKED`, PostgreSQL's manual.
 */
export function createRelay(options: RelayOptions): () => Promise<Relayed | null> {
  const problem = relayLeaseProblem(options)
  if (problem) throw new RangeError(problem)
  const inHand = createTally()
  return () => relayMessage(options, inHand)
}

async function relayMessage(options: RelayOptions, inHand: Tally): Promise<Relayed | null> {
  // Before the statement that writes the lease, so that our view of it ends before everybody else's.
  const endsAtMs = performance.now() + options.leaseMs
  const taken = await takeMessage(options, inHand.atLeast(options.perAccount ?? Number.POSITIVE_INFINITY))
  if (!taken) return null
  return inHand.during(taken.accountId, () => sendAndMark(options, taken, endsAtMs))
}

async function sendAndMark(options: RelayOptions, taken: Taken, endsAtMs: number): Promise<Relayed> {
  const { send, sendDeadlineMs } = options
  if (performance.now() + sendDeadlineMs + publishBudgetMs > endsAtMs) return result(taken, 'late')
  // Whoever took it that often did not live to say what came of it: it may be the message that kills them.
  const failure =
    taken.attempts > maxAttempts
      ? new SendFailure('no try of it ended', { isPermanent: true })
      : await send(taken.message).then(
          () => null,
          (fault) => failureOf(options, taken.message, fault),
        )
  return throughOutage(
    () => (failure === null ? markSent(options, taken) : markFailed(options, taken, failure)),
    (fault) => options.reportFault(fault, taken.message.id),
    () => performance.now() + longestPauseMs + statementMs <= endsAtMs,
  )
}

/** How many messages of each account are under way in this process. */
interface Tally {
  /** The accounts with so many or more. */
  atLeast(count: number): string[]
  during<T>(accountId: string, work: () => Promise<T>): Promise<T>
}

function createTally(): Tally {
  const counts = new Map<string, number>()
  const add = (accountId: string, change: number) => {
    const count = (counts.get(accountId) ?? 0) + change
    if (count === 0) counts.delete(accountId)
    else counts.set(accountId, count)
  }
  return {
    atLeast: (count) => [...counts].filter(([, open]) => open >= count).map(([accountId]) => accountId),
    during: async (accountId, work) => {
      add(accountId, 1)
      try {
        return await work()
      } finally {
        add(accountId, -1)
      }
    },
  }
}

interface Taken {
  readonly accountId: string
  readonly message: Message
  readonly generation: number
  readonly attempts: number
}

/**
 * One statement: choose, raise the generation, lease. By state, never by "id greater than the last": commits are not in the
 * order of ids, and one that came late would be passed over for ever.
 *
 * `look_at` is moved to the end of the lease, so that what is being sent does not stand at the head of the index.
 */
async function takeMessage(
  { database, channel, leaseMs }: RelayOptions,
  busyAccounts: readonly string[],
): Promise<Taken | null> {
  const rows = await database.statement(
    (client) => client.$queryRaw<TakenRow[]>`
    WITH due AS MATERIALIZED (
      SELECT id FROM outbox
       WHERE channel = ${channel} AND published_at IS NULL AND dead_at IS NULL AND look_at <= now()
         AND account_id <> ALL (${busyAccounts}::uuid[])
       ORDER BY look_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    taken AS (
      UPDATE outbox
         SET generation = generation + 1, attempts = attempts + 1,
             leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8),
             look_at = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8)
        FROM due WHERE outbox.id = due.id RETURNING outbox.*)
    SELECT taken.id, account_id AS "accountId", topic, recipient, payload, taken.created_at AS "createdAt", generation, attempts, url, secret,
           previous_secret AS "previousSecret"
      FROM taken LEFT JOIN webhook_endpoints USING (account_id)`,
  )
  const [row] = rows
  if (!row) return null
  const { id, accountId, topic, recipient, payload, createdAt, url, secret, previousSecret } = row
  const secrets = [secret, previousSecret].filter((one) => one !== null)
  const endpoint = url === null ? null : { url, secrets }
  return {
    accountId,
    message: { id, topic, recipient, payload, createdAt, endpoint },
    generation: row.generation,
    attempts: row.attempts,
  }
}

interface TakenRow extends Omit<Message, 'endpoint'> {
  readonly accountId: string
  readonly generation: number
  readonly attempts: number
  readonly url: string | null
  readonly secret: string | null
  readonly previousSecret: string | null
}

async function markSent({ database }: RelayOptions, taken: Taken): Promise<Relayed> {
  const { message, generation } = taken
  const count = await database.statement(
    (client) => client.$executeRaw`
      UPDATE outbox SET published_at = clock_timestamp(), leased_until = NULL, last_error = NULL
       WHERE id = ${message.id}::uuid AND generation = ${generation} AND published_at IS NULL AND dead_at IS NULL`,
  )
  if (count === 1) return result(taken, 'sent')
  // Ours, if an earlier try of this very statement was committed without our hearing of it.
  const row = await database.statement((client) => client.outboxMessage.findUnique({ where: { id: message.id } }))
  const isOurs = row?.generation === generation && row.publishedAt !== null
  return result(taken, isOurs ? 'sent' : 'superseded')
}

async function markFailed({ database }: RelayOptions, taken: Taken, failure: SendFailure): Promise<Relayed> {
  const { message, generation, attempts } = taken
  const isDead = failure.isPermanent || attempts >= maxAttempts
  const error = failure.message.slice(0, maxErrorLength)
  const count = await database.statement(
    (client) => client.$executeRaw`
      UPDATE outbox
         SET leased_until = NULL, last_error = ${error}, dead_at = CASE WHEN ${isDead} THEN clock_timestamp() END,
             look_at = clock_timestamp() + make_interval(secs => ${retryPauseMs(attempts) / 1000}::float8)
       WHERE id = ${message.id}::uuid AND generation = ${generation} AND leased_until IS NOT NULL`,
  )
  return { id: message.id, result: count === 0 ? 'superseded' : isDead ? 'dead' : 'failed', error }
}

function retryPauseMs(attempts: number): number {
  const half = { baseMs: firstPauseMs / 2, maxMs: longestRetryPauseMs / 2 }
  return backoffMs(attempts - 1, { ...half, random: () => 1 }) + backoffMs(attempts - 1, half)
}

/** What is no `SendFailure` is a fault of ours in the sending: it may be mended by the next release, so it is tried again. */
function failureOf({ reportFault }: RelayOptions, { id }: Message, fault: unknown): SendFailure {
  if (fault instanceof SendFailure) return fault
  reportFault(fault, id)
  return new SendFailure('the sending broke on our side', { isPermanent: false })
}

function result({ message: { id } }: Taken, kind: 'sent' | 'superseded' | 'late'): Relayed {
  return { id, result: kind, error: null }
}
