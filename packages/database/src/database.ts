import { setTimeout as pause } from 'node:timers/promises'
import { PrismaPg } from '@prisma/adapter-pg'
import type { Runtime } from '@seatbelt/domain'
import type pg from 'pg'
import { closePool, createPool, onConnection, type PoolOptions, sendAlone } from './connection.ts'
import { readDatabaseError, TransactionConflict } from './database-error.ts'
import { PrismaClient } from './generated/client.ts'
import { createReadiness } from './readiness.ts'
import { type Statement, statementName } from './sql.ts'
import { type RollBack, runTransaction, type Tx } from './transaction.ts'

export interface Database {
  /** Prisma's client, for fixtures and tools. Its errors are Prisma's. */
  readonly client: PrismaClient
  /** Plain reads and lists by Prisma, with errors of `database-error.ts`. */
  statement<T>(work: (client: PrismaClient) => Promise<T>): Promise<T>
  /**
   * Sends one SQL statement, which is a transaction of its own, and resolves with its rows.
   *
   * After a conflict, which PostgreSQL rolled back, it is sent anew, up to three times in all. If the connection
   * breaks, a write may have been committed although the error is `DatabaseUnavailable`.
   * Fails with: the classes of `database-error.ts`.
   */
  query<Row extends object>(statement: Statement): Promise<Row[]>
  /**
   * Runs `work` in one READ COMMITTED transaction.
   *
   * Guarantees: it is committed as a whole when the promise resolves, except by `rollBack`; it is rolled back when the
   * promise rejects with anything other than `CommitUnknown`. After a conflict or a failed guard, which rolled back,
   * `work` runs anew, up to three times in all, so it must have no effect outside of `tx`.
   * Fails with: the classes of `database-error.ts`, or whatever `work` threw.
   */
  transaction<T, R = never>(work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>): Promise<T | R>
  /** See `createReadiness`. */
  isReady(): Promise<boolean>
  /** Resolves when every connection is closed. A server that hangs delays that by two seconds. */
  close(): Promise<void>
}

export interface DatabaseOptions extends PoolOptions {
  /** For the pause before a transaction runs anew. */
  readonly runtime?: Pick<Runtime, 'pause' | 'random'>
}

/** Two retries settle every deadlock of two. A conflict after them is at a hot spot, where waiting makes it worse. */
const transactionTries = 3

interface Parts {
  readonly pool: pg.Pool
  readonly prepared: boolean
  readonly runtime: Pick<Runtime, 'pause' | 'random'>
}

const processRuntime: Pick<Runtime, 'pause' | 'random'> = { pause, random: Math.random }

export function createDatabase(options: DatabaseOptions): Database {
  const { prepared = true, runtime = processRuntime } = options
  const pool = createPool(options)
  const parts = { pool, prepared, runtime }
  const readiness = createReadiness(options)
  // Made when it is needed first: it costs as much as a payment, and transactions go without it.
  let prisma: PrismaClient | null = null
  const client = () => (prisma ??= createPrisma(pool, prepared))
  return {
    get client() {
      return client()
    },
    statement: (work) => statement(client(), work),
    query: (statement) => query(parts, statement),
    transaction: (work) => transaction(parts, work),
    isReady: readiness.isReady,
    close: async () => {
      await readiness.close()
      await prisma?.$disconnect()
      await closePool(pool)
    },
  }
}

function createPrisma(pool: pg.Pool, prepared: boolean): PrismaClient {
  return new PrismaClient({
    adapter: new PrismaPg(pool, { statementNameGenerator: ({ sql }) => (prepared && statementName(sql)) || '' }),
    errorFormat: 'minimal',
  })
}

async function statement<T>(client: PrismaClient, work: (client: PrismaClient) => Promise<T>): Promise<T> {
  try {
    return await work(client)
  } catch (error) {
    throw readDatabaseError(error)
  }
}

function transaction<T, R>(
  { pool, prepared, runtime }: Parts,
  work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>,
): Promise<T | R> {
  return retryConflicts(runtime, () =>
    onConnection(pool, (connection) => runTransaction(connection, work, { prepared })),
  )
}

function query<Row>({ pool, prepared, runtime }: Parts, statement: Statement): Promise<Row[]> {
  return retryConflicts(runtime, () =>
    onConnection(pool, (connection) => sendAlone<Row>(connection, statement, prepared)),
  )
}

async function retryConflicts<T>(runtime: Pick<Runtime, 'pause' | 'random'>, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof TransactionConflict) || tries === transactionTries) throw error
      // The winner of a deadlock needs a moment to finish. Jitter keeps two losers from meeting again.
      await runtime.pause(runtime.random() * 20 * tries)
    }
  }
}
