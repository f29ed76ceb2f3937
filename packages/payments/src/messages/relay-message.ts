import { type Database, type Sql, sql } from '@seatbelt/database'
import type { Runtime } from '@seatbelt/domain'
import { longestPauseMs, outageMs, retryWhileUnavailable } from '@seatbelt/safety'
import { SendFailure } from './send-failure.ts'

export interface RelayOptions extends RelayTimes {
  readonly database: Pick<Database, 'query'>
  readonly runtime: Pick<Runtime, 'monotonicMs' | 'pause' | 'random'>
  readonly channel: Channel
  /**
   * How many messages of one account are sent at once, where receivers differ. It must be less than the number of
   * lanes, so that an endpoint that hangs does not delay the messages of other accounts.
   *
   * It is fair, but not exact: lanes that take messages at the same moment may exceed it by one, and each process
   * counts its own messages only.
   */
  readonly perAccount?: number
  /**
   * Resolves when the receiver has confirmed the message. Fails within the deadline, with `SendFailure` if undelivered.
   */
  readonly send: (message: Message) => Promise<void>
  /** Receives errors of the database that are retried, and bugs in the sending. */
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
  /** The same with every try, so that the receiver recognizes a copy. */
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
   * `failed`: it is retried later. `dead`: it was given up, until a person replays it. `superseded`: this relay was
   * paused past its lease, and another relay owns the message. `late`: too little of the lease was left, so nothing was
   * sent.
   */
  readonly result: 'sent' | 'failed' | 'dead' | 'superseded' | 'late'
  /** Why, where it was not sent. */
  readonly error: string | null
}

/** One statement at its worst: 2 s for a connection, 8 s for a server that hangs (packages/database). */
const statementMs = 10_000
/** To record the result of a message while the database restarts. */
const publishBudgetMs = outageMs + statementMs

/**
 * Pauses of 1 to 2 s, 2 to 4 s and so on up to 2 to 4 h, half of each random. A receiver that restarts loses seconds,
 * and a receiver that comes back after a night does not receive everything at one moment.
 */
const firstPauseMs = 2_000
const longestRetryPauseMs = 4 * 3_600_000
/** With those pauses the last try comes after 14 to 29 hours: longer than any night in which no person is on duty. */
export const maxAttempts = 20
/** Enough for a person to see the cause; a receiver's answer must not fill our tables. */
const maxErrorLength = 300

/** Why these times cannot work together, or null. Twin of `leaseProblem` of payments. */
export function relayLeaseProblem({ sendDeadlineMs, leaseMs }: RelayTimes): string | null {
  const shortestMs = statementMs + sendDeadlineMs + publishBudgetMs
  if (leaseMs >= shortestMs) return null
  return `${leaseMs} ms is too short: taking a message, sending it within ${sendDeadlineMs} ms and recording the result can take ${shortestMs} ms`
}

/**
 * Makes a relay: each call takes one message that is due, sends it, and marks it. Null: none is due.
 *
 * Guarantees: a message is sent at least once. It is sent twice only where a relay died, was paused past its lease or
 * lost an answer between sending and marking; a copy carries the same id. Of many relays one owns a message (SKIP
 * LOCKED), and a deposed relay marks nothing (the generation). No transaction is open while it sends.
 * Does not guarantee: any order of messages.
 * Fails with: database errors. The lease then runs out, and the message is due again.
 * Source: "Transactional outbox" and "Polling publisher", microservices.io; `FOR UPDATE SKIP LOCKED`, PostgreSQL's
 * manual.
 */
export function createRelay(options: RelayOptions): () => Promise<Relayed | null> {
  const problem = relayLeaseProblem(options)
  if (problem) throw new RangeError(problem)
  const underWay = new UnderWay()
  return () => relayMessage(options, underWay)
}

async function relayMessage(options: RelayOptions, underWay: UnderWay): Promise<Relayed | null> {
  // Before the statement that writes the lease, so that our view of it ends before the database's.
  const endsAtMs = options.runtime.monotonicMs() + options.leaseMs
  const taken = await takeMessage(options, underWay.accountsWith(options.perAccount ?? Number.POSITIVE_INFINITY))
  return taken && underWay.during(taken.accountId, () => sendAndMark(options, taken, endsAtMs))
}

async function sendAndMark(options: RelayOptions, taken: Taken, endsAtMs: number): Promise<Relayed> {
  const { runtime, sendDeadlineMs } = options
  const { id } = taken
  if (runtime.monotonicMs() + sendDeadlineMs + publishBudgetMs > endsAtMs) return { id, result: 'late', error: null }
  const failure = await trySend(options, taken)
  return retryWhileUnavailable(
    runtime,
    () => (failure === null ? markSent(options, taken) : markFailed(options, taken, failure)),
    (fault) => options.reportFault(fault, id),
    () => runtime.monotonicMs() + longestPauseMs + statementMs <= endsAtMs,
  )
}

async function trySend({ send, reportFault }: RelayOptions, message: Taken): Promise<SendFailure | null> {
  // No relay that took it lived to record a result: the message itself may be what kills them.
  if (message.attempts > maxAttempts) return new SendFailure('no try of it ended', { isPermanent: true })
  try {
    await send(message)
    return null
  } catch (fault) {
    if (fault instanceof SendFailure) return fault
    // A bug of ours, which the next release may fix. So the message is retried.
    reportFault(fault, message.id)
    return new SendFailure('the sending broke on our side', { isPermanent: false })
  }
}

/** The account of each message that this process is sending. */
class UnderWay {
  readonly #accounts: string[] = []

  accountsWith(atLeast: number): string[] {
    const countOf = (accountId: string) => this.#accounts.filter((one) => one === accountId).length
    return [...new Set(this.#accounts)].filter((accountId) => countOf(accountId) >= atLeast)
  }

  async during<T>(accountId: string, work: () => Promise<T>): Promise<T> {
    this.#accounts.push(accountId)
    try {
      return await work()
    } finally {
      this.#accounts.splice(this.#accounts.indexOf(accountId), 1)
    }
  }
}

interface Taken extends Message {
  readonly accountId: string
  readonly generation: number
  readonly attempts: number
}

/**
 * Takes one message, in one statement: chooses it, raises its generation, leases it. It chooses by state, never by "id
 * greater than the last": commits do not come in the order of ids, and a message that is committed late would be
 * missed.
 *
 * `next_attempt_at` moves to the end of the lease, so that what is being sent does not stand at the head of the index.
 */
async function takeMessage(
  { database, channel, leaseMs }: RelayOptions,
  busyAccounts: readonly string[],
): Promise<Taken | null> {
  const [row] = await database.query<Taken>(sql`
    WITH due AS MATERIALIZED (
      SELECT id FROM outbox
       WHERE channel = ${channel} AND published_at IS NULL AND dead_at IS NULL AND next_attempt_at <= now()
         AND account_id <> ALL (${busyAccounts}::uuid[])
       ORDER BY next_attempt_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    taken AS (
      UPDATE outbox
         SET generation = generation + 1, attempts = attempts + 1,
             leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8),
             next_attempt_at = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8)
        FROM due WHERE outbox.id = due.id RETURNING outbox.*)
    SELECT taken.*,
           CASE WHEN url IS NOT NULL THEN json_build_object(
             'url', url, 'secrets', array_remove(ARRAY[secret, previous_secret], NULL)) END AS endpoint
      FROM taken LEFT JOIN webhook_endpoints USING (account_id)`)
  return row ?? null
}

async function markSent(options: RelayOptions, taken: Taken): Promise<Relayed> {
  const isMarked = await mark(
    options,
    taken,
    sql`published_at = COALESCE(published_at, clock_timestamp()), last_error = NULL`,
  )
  return { id: taken.id, result: isMarked ? 'sent' : 'superseded', error: null }
}

async function markFailed(options: RelayOptions, taken: Taken, failure: SendFailure): Promise<Relayed> {
  const isDead = failure.isPermanent || taken.attempts >= maxAttempts
  const error = failure.message.slice(0, maxErrorLength)
  const pauseMs = retryPauseMs(options.runtime, taken.attempts)
  const isMarked = await mark(
    options,
    taken,
    sql`last_error = ${error}, dead_at = CASE WHEN ${isDead} THEN clock_timestamp() END,
           next_attempt_at = clock_timestamp() + make_interval(secs => ${pauseMs / 1000}::float8)`,
  )
  return { id: taken.id, result: isMarked ? (isDead ? 'dead' : 'failed') : 'superseded', error }
}

/** A repeated mark of one generation changes nothing, so a try whose answer was lost may be repeated. */
async function mark({ database }: RelayOptions, { id, generation }: Taken, result: Sql): Promise<boolean> {
  const marked = await database.query(sql`
    UPDATE outbox SET ${result}, leased_until = NULL
     WHERE id = ${id}::uuid AND generation = ${generation}
    RETURNING 1`)
  return marked.length === 1
}

function retryPauseMs({ random }: Pick<Runtime, 'random'>, attempts: number): number {
  const boundMs = Math.min(longestRetryPauseMs, firstPauseMs * 2 ** (attempts - 1))
  return boundMs / 2 + (random() * boundMs) / 2
}
