import type { Socket } from 'node:net'
import pg from 'pg'
import { isPlanOutdated, isStatementError, readDatabaseError } from './database-error.ts'
import { type Statement, statementName } from './sql.ts'

export interface PoolOptions {
  readonly url: string
  /** Connections at most. A transaction holds one for a few milliseconds, never while the gateway is asked. */
  readonly poolSize: number
  /** Shown in pg_stat_activity, so that a person sees who holds what. */
  readonly applicationName: string
  /**
   * Whether statements are prepared under names; on by default.
   *
   * Off behind a pooler that cannot track them. The role must have the bounds then (see `assertPoolerFits`), because
   * such a pooler refuses them as start-up parameters.
   */
  readonly prepared?: boolean
  /** Called with each new connection, which may be one to another server than before. */
  readonly onConnection?: () => void
  /** How long to wait for a connection; 2 s by default. */
  readonly connectTimeoutMs?: number
  /** How long the server may be silent while a connection is in use; 8 s by default. */
  readonly silenceTimeoutMs?: number
  /** Other bounds for the server to keep, in milliseconds by the names of its settings. */
  readonly serverBounds?: Partial<typeof serverBoundsMs>
}

/** Waiting for a connection. Longer than any burst needs, shorter than a client's patience. */
const defaultConnectTimeoutMs = 2_000
/** Waiting for a row, an index entry or an advisory lock. Holders need milliseconds; a longer wait is for a fault. */
export const lockTimeoutMs = 2_000
/** One statement. Ours touch a handful of rows. */
const statementTimeoutMs = 5_000
/** Silence of this process inside a transaction: it was paused or its host is gone. The server frees its locks. */
const idleInTransactionTimeoutMs = 5_000
/** Silence of the server: it hangs, or the network does. The server's own bounds are shorter, and act first. */
const defaultSilenceTimeoutMs = 8_000

/** The bounds that the server keeps, by the names of its settings. */
export const serverBoundsMs = {
  lock_timeout: lockTimeoutMs,
  statement_timeout: statementTimeoutMs,
  idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
}

export function createPool(options: PoolOptions): pg.Pool {
  const { url, poolSize, applicationName, prepared = true, serverBounds = {} } = options
  const { connectTimeoutMs = defaultConnectTimeoutMs, silenceTimeoutMs = defaultSilenceTimeoutMs } = options
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    // Statements that are issued without awaiting each other are sent at once.
    pipeline: true,
    // Idle connections are kept: a burst must not begin with a queue of handshakes.
    idleTimeoutMillis: 60_000,
    ...(prepared ? { ...serverBoundsMs, ...serverBounds } : {}),
  })
  // The pool drops a connection that breaks while it is idle. Without a listener the event would end the process.
  pool.on('error', ignore)
  pool.on('connect', watch)
  const open = new Set<pg.PoolClient>()
  openConnections.set(pool, open)
  pool.on('connect', (connection) => open.add(connection))
  pool.on('remove', (connection) => open.delete(connection))
  if (options.onConnection) pool.on('connect', options.onConnection)
  // One timer for each use of a connection. The driver's `query_timeout` has one for each statement, which costs more.
  pool.on('acquire', (connection) => socketOf(connection).setTimeout(silenceTimeoutMs))
  pool.on('release', (_error, connection) => {
    socketOf(connection).setTimeout(0)
    if (connection.getTransactionStatus() !== 'I' || unfit.has(connection)) drop(connection)
  })
  return pool
}

/** The connections of each pool whose sockets are not closed. */
const openConnections = new WeakMap<pg.Pool, Set<pg.PoolClient>>()
/** A healthy server closes within milliseconds of our goodbye. A process that ends does not wait longer for another. */
const closeTimeoutMs = 2_000

/**
 * Ends a pool of `createPool`, and resolves when its connections are closed.
 *
 * The driver's `end()` resolves earlier. If the database were dropped then, the server would end them with an error.
 */
export async function closePool(pool: pg.Pool): Promise<void> {
  await pool.end()
  const open = openConnections.get(pool) ?? new Set()
  const destroy = () => open.forEach((connection) => void socketOf(connection).destroy())
  const timer = setTimeout(destroy, closeTimeoutMs)
  // Not `events.once`, which rejects where an idle connection breaks meanwhile.
  while (open.size > 0) await new Promise<void>((resolve) => pool.once('remove', () => resolve()))
  clearTimeout(timer)
}

function watch(connection: pg.PoolClient): void {
  // A connection that breaks while it is in use fails its statements as well. The event alone would end the process.
  connection.on('error', ignore)
  connection.on('notice', ({ code = '', message = 'without a message' }) => {
    if (!code.startsWith('00')) warnings.set(connection, message)
  })
  const socket = socketOf(connection)
  socket.on('timeout', () => socket.destroy(new Error('Query read timeout')))
}

/**
 * Closes a connection that must not have another user.
 *
 * Its transaction may be open: the next user would commit it. PostgreSQL rolls back once the connection is gone.
 */
function drop(connection: pg.PoolClient): void {
  void connection.end()
  socketOf(connection).destroy()
}

/** Connections with an error that was not the answer to a statement, so their state is unknown. */
const unfit = new WeakSet<pg.PoolClient>()

/** To be called with each error of a statement, before the connection is released. */
export function noteError(connection: pg.PoolClient, error: unknown): void {
  if (!isStatementError(error) || isPlanOutdated(error)) unfit.add(connection)
}

/** The last warning of each connection. In every language its SQLSTATE is outside of class 00. */
const warnings = new WeakMap<pg.PoolClient, string>()

export function forgetWarning(connection: pg.PoolClient): void {
  warnings.delete(connection)
}

export function lastWarning(connection: pg.PoolClient): string | undefined {
  return warnings.get(connection)
}

/** `pg` writes to this socket once for each statement, unless it is corked. */
export function socketOf(connection: pg.PoolClient): Socket {
  return connection.connection.stream as Socket
}

/** Takes a connection for `use`, which must await all answers. Fails with `DatabaseUnavailable` where none is free. */
export function onConnection<T>(pool: pg.Pool, use: (connection: pg.PoolClient) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    pool.connect((fault, connection) => {
      if (connection === undefined) return reject(readDatabaseError(fault))
      const release = () => connection.release()
      resolve(use(connection).finally(release))
    })
  })
}

type Answer = (error: Error | null | undefined, result: pg.QueryResult) => void

/**
 * Sends one statement. `answer` is called once, with the error or the result.
 *
 * A `Query` of the driver instead of an object with the same fields, because the driver would copy that object slowly.
 */
export function send(connection: pg.PoolClient, { text, values }: Statement, name: string | undefined, answer: Answer) {
  const query = new CamelCaseQuery(text, values, answer)
  query.name = name
  connection.query(query)
}

/** The part of the driver's query that its types leave out. */
const DriverQuery = pg.Query as unknown as new (
  text: string,
  values: readonly unknown[],
  answer: Answer,
) => pg.Query & { name: string | undefined; handleRowDescription(description: RowDescription): void }

interface RowDescription {
  readonly fields: { name: string }[]
}

/**
 * Gives the columns of its rows the names that Prisma's rows have: `order_id` arrives as `orderId`.
 *
 * The names change in the description that precedes the rows, so that a row costs nothing.
 */
class CamelCaseQuery extends DriverQuery {
  override handleRowDescription(description: RowDescription): void {
    for (const field of description.fields) field.name = toCamelCase(field.name)
    super.handleRowDescription(description)
  }
}

const camelCaseNames = new Map<string, string>()

/** There are as many names as our statements have columns. */
function toCamelCase(column: string): string {
  const known = camelCaseNames.get(column)
  if (known !== undefined) return known
  const name = column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  camelCaseNames.set(column, name)
  return name
}

/** Sends one statement that is a transaction of its own, and resolves with its rows. */
export function sendAlone<Row>(connection: pg.PoolClient, statement: Statement, prepared: boolean): Promise<Row[]> {
  const name = prepared ? statementName(statement.text) : undefined
  return new Promise((resolve, reject) =>
    send(connection, statement, name, (error, result) => {
      if (!error) return resolve(result.rows)
      noteError(connection, error)
      reject(readDatabaseError(error))
    }),
  )
}

function ignore(): void {}
