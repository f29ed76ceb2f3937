import { setTimeout as pause } from 'node:timers/promises'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { DatabaseUnavailable, readCommitError, readDatabaseError, TransactionConflict } from './database-error.ts'
import { type Prisma, PrismaClient } from './generated/client.ts'

export type Tx = Prisma.TransactionClient

export interface Database {
  /** Bare: its faults are Prisma's. Prefer `statement()`, and `transaction()` where more than one statement must agree. */
  readonly client: PrismaClient
  /**
   * One statement, or several that need not agree, with the database's faults in this house's terms. A write is a
   * transaction of its own: if the connection breaks, it may have been committed although the fault says `unavailable`.
   */
  statement<T>(work: (client: PrismaClient) => Promise<T>): Promise<T>
  /**
   * Runs `work` in one READ COMMITTED transaction.
   *
   * Guarantees: committed as a whole when it resolves (unless by `rollBack`); rolled back when it throws anything other
   * than `CommitUnknown`. `work` may run up to three times, after conflicts that PostgreSQL rolled back, so that it must
   * have no effect outside of `tx`. It must let the faults of `tx` out: PostgreSQL answers the COMMIT of a failed
   * transaction without an error, and rolls it back.
   * Fails with: the classes of `database-error.ts`, or whatever `work` threw.
   */
  transaction<T, R = never>(work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>): Promise<T | R>
  /** Can a statement be run within a second? */
  isReady(): Promise<boolean>
  close(): Promise<void>
}

/** Ends the transaction without its writes and makes `value` its result. For refusals that are found after a write. */
export type RollBack<R> = (value: R) => never

export interface DatabaseOptions {
  readonly url: string
  /** Connections at most. A transaction holds one for a few milliseconds, never while the gateway is asked. */
  readonly poolSize: number
  /** Shown in pg_stat_activity, so that a person sees who holds what. */
  readonly applicationName: string
}

/** Waiting for a connection. Longer than any burst needs, shorter than a client's patience. */
const connectTimeoutMs = 2_000
/** Waiting for a row, an index entry or an advisory lock. Holders need milliseconds; who waits longer waits for a fault. */
export const lockTimeoutMs = 2_000
/** One statement. Ours touch a handful of rows. */
const statementTimeoutMs = 5_000
/** Silence inside a transaction: this process was paused or its host is gone. The server frees what it held. */
const idleInTransactionTimeoutMs = 5_000
/** The client's own patience with a server that hangs; longer than the server's, so that an answer is preferred. */
const queryTimeoutMs = 8_000
/**
 * Prisma's own bound must never be the one that strikes: when it does so during COMMIT, the process can end. Each statement
 * inside has its own bounds, and of a process that was paused the server ends the transaction after 5 s.
 */
const transactionTimeoutMs = 600_000
/** Two retries settle every deadlock of two; what still conflicts after them is a hot spot that waiting makes worse. */
const transactionTries = 3

export function createDatabase({ url, poolSize, applicationName }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    lock_timeout: lockTimeoutMs,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    query_timeout: queryTimeoutMs,
    // Idle connections are kept: a burst must not begin with a queue of handshakes.
    idleTimeoutMillis: 60_000,
  })
  // The pool drops a connection that breaks while idle; without a listener Node would take the process down for it.
  pool.on('error', () => undefined)
  pool.on('release', dropUnfinished)
  const client = new PrismaClient({
    adapter: new PrismaPg(pool, { statementNameGenerator: statementNames() }),
    transactionOptions: { maxWait: connectTimeoutMs + 1_000, timeout: transactionTimeoutMs },
    errorFormat: 'minimal',
  })
  return {
    client,
    statement: (work) => statement(client, work),
    transaction: (work) => transaction(client, work),
    isReady: () => isReady(pool),
    close: async () => {
      await client.$disconnect()
      await pool.end()
    },
  }
}

/**
 * Whoever got a connection whose transaction is still open would commit that one with his own.
 *
 * It is open when the server did not answer in time: the driver then takes ROLLBACK out of its queue, unsent, and Prisma
 * gives the connection back as if it were well. PostgreSQL rolls back when the connection is gone.
 */
function dropUnfinished(_error: unknown, connection: pg.PoolClient): void {
  if (connection.getTransactionStatus() !== 'I') void connection.end()
}

async function statement<T>(client: PrismaClient, work: (client: PrismaClient) => Promise<T>): Promise<T> {
  try {
    return await work(client)
  } catch (error) {
    throw readDatabaseError(error)
  }
}

async function transaction<T, R>(
  client: PrismaClient,
  work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>,
): Promise<T | R> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transactionOnce(client, work)
    } catch (error) {
      if (!(error instanceof TransactionConflict) || attempt === transactionTries) throw error
      // The winner of a deadlock needs a moment to finish; jitter keeps two losers from meeting again.
      await pause(Math.random() * 20 * attempt)
    }
  }
}

async function transactionOnce<T, R>(
  client: PrismaClient,
  work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>,
): Promise<T | R> {
  let workIsDone = false
  let isCommitted = false
  const afterwards: (() => void)[] = []
  try {
    const result = await client.$transaction(async (tx) => {
      afterCommits.set(tx, afterwards)
      const result = await work(tx, rollBack)
      workIsDone = true
      return result
    })
    isCommitted = true
    return result
  } catch (error) {
    if (error instanceof RolledBack) return error.value as R
    throw workIsDone ? readCommitError(error) : readDatabaseError(error)
  } finally {
    if (isCommitted) afterwards.forEach(tellAnyway)
  }
}

const afterCommits = new WeakMap<Tx, (() => void)[]>()

/**
 * Has `tell` called once this transaction is committed, in the order of the calls, and not at all if it is rolled back.
 *
 * Does not guarantee: that it is called. A process that dies in between, or whose COMMIT is not answered, tells nobody; so it
 * is for hints alone. It must not wait, because whoever committed is waiting for the answer; and what it throws is dropped,
 * because what is committed must not read as a fault.
 */
export function afterCommit(tx: Tx, tell: () => void): void {
  const afterwards = afterCommits.get(tx)
  if (!afterwards) throw new Error('there is no transaction that could be committed')
  afterwards.push(tell)
}

function tellAnyway(tell: () => void): void {
  try {
    tell()
  } catch {
    // A hint that nobody got. The answer is the commit's.
  }
}

class RolledBack extends Error {
  readonly value: unknown
  constructor(value: unknown) {
    super('rolled back on purpose')
    this.value = value
  }
}

function rollBack(value: unknown): never {
  throw new RolledBack(value)
}

/**
 * Statements are prepared once per connection under a name made from their text, which spares PostgreSQL the parsing.
 * The number of different texts is small and fixed by the code; the bound is there because names are never given back.
 */
function statementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>()
  return ({ sql }) => {
    const known = names.get(sql)
    if (known !== undefined) return known
    const name = names.size < 500 ? `s${names.size}` : ''
    if (name !== '') names.set(sql, name)
    return name
  }
}

async function isReady(pool: pg.Pool): Promise<boolean> {
  const bound = AbortSignal.timeout(1_000)
  const late = new Promise<never>((_, reject) => {
    bound.addEventListener('abort', () =>
      reject(new DatabaseUnavailable('the database did not answer within a second')),
    )
  })
  return Promise.race([pool.query('SELECT 1'), late]).then(
    () => true,
    () => false,
  )
}
