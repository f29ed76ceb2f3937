/**
 * The one reader of database errors. No other file looks at a Prisma code, an SQLSTATE or a driver's message.
 *
 * Prisma reports one SQLSTATE under different codes of its own (P2002 from the ORM, P2010 from raw SQL), and the driver
 * has errors without any code. Here they become six classes.
 */

/** The database cannot be used now, and nothing of this transaction was committed. Of a lone write see `query()`. */
export class DatabaseUnavailable extends Error {
  readonly code = 'database-unavailable'
}

/** COMMIT was sent and no certain answer came. The transaction is either whole or absent; a later read shows which. */
export class CommitUnknown extends Error {
  readonly code = 'commit-unknown'
  /** The result of the transaction's work. It is true if the transaction turns out to be there. */
  readonly result: unknown
  constructor(message: string, { result, ...options }: ErrorOptions & { readonly result: unknown }) {
    super(message, options)
    this.result = result
  }
}

/** A lock was not granted within `lock_timeout`; the transaction was rolled back. */
export class LockNotAvailable extends Error {
  readonly code = 'lock-not-available'
}

/** A unique index refused a row; the transaction was rolled back. `constraint` is the index's name. */
export class UniqueViolation extends Error {
  readonly code = 'unique-violation'
  readonly constraint: string | null
  constructor(constraint: string | null, options: ErrorOptions) {
    super(`a row for ${constraint ?? 'a unique index'} exists already`, options)
    this.constraint = constraint
  }
}

/** PostgreSQL chose this transaction as the victim of a conflict; it was rolled back and may be tried anew. */
export class TransactionConflict extends Error {
  readonly code = 'transaction-conflict'
}

/**
 * A write found another row than its writer had read; the transaction was rolled back and may be tried anew.
 *
 * Raised by the function `guard` of the schema, whose second argument is `guard` here.
 */
export class GuardFailed extends TransactionConflict {
  readonly guard: string
  constructor(guard: string, options: ErrorOptions) {
    super(`the guard ${guard} failed`, options)
    this.guard = guard
  }
}

/** The SQLSTATE of our own that `guard` raises. PostgreSQL has none that begins with S. */
const guardFailed = 'SB001'

/** The same error in these classes. An error that is not the database's is returned as it is. */
export function readDatabaseError(error: unknown): unknown {
  if (isHouseError(error)) return error
  const { sqlState, constraint, unreachable } = anatomy(error)
  const options = { cause: error }
  switch (sqlState) {
    case '55P03': // lock_not_available: lock_timeout passed
      return new LockNotAvailable('a lock was not granted in time', options)
    case '23505': // unique_violation
      return new UniqueViolation(constraint, options)
    case guardFailed:
      return new GuardFailed(constraint ?? 'unnamed', options)
    case '40001': // serialization_failure
    case '40P01': // deadlock_detected
      return new TransactionConflict('the transaction was chosen as the victim of a conflict', options)
    case '53300': // too_many_connections
    case '57014': // query_canceled: statement_timeout passed
    case '57P01': // admin_shutdown: the server is stopping, or an administrator ended the connection
    case '57P02': // crash_shutdown
    case '57P03': // cannot_connect_now: the server is starting
    case '57P05': // idle_session_timeout: the server closed an unused connection
    case '25006': // read_only_sql_transaction: this server is a standby now, or still
    case '25P04': // transaction_timeout
    case '25P03': // idle_in_transaction_session_timeout: this process was paused inside a transaction
      return new DatabaseUnavailable(`the database refused (${sqlState})`, options)
    default:
      if (isPlanOutdated(error)) return new TransactionConflict('a migration changed what a statement reads', options)
      if (sqlState?.startsWith('08') || unreachable)
        return new DatabaseUnavailable('the database is out of reach', options)
      return error
  }
}

/**
 * The same for an error of COMMIT itself, which travels with the last writes.
 *
 * The answer to an earlier statement (`earlier`) that it failed proves that the transaction was rolled back. So does an
 * SQLSTATE of class 23 (a deferred constraint) or 40, except 40003, with which servers that speak its protocol say that
 * they do not know. A driver that found its connection broken before it wrote has sent nothing. All else is unknown.
 */
export function readCommitError(
  error: unknown,
  { earlier, result }: { readonly earlier: unknown; readonly result: unknown },
): unknown {
  if (isStatementError(earlier)) return readDatabaseError(earlier)
  const { sqlState } = anatomy(error)
  const isRefused = sqlState !== '40003' && (sqlState?.startsWith('23') || sqlState?.startsWith('40'))
  if (isRefused || neverSent(error)) return readDatabaseError(error)
  return new CommitUnknown('COMMIT was sent, and its answer did not arrive', { cause: error, result })
}

/**
 * Whether the error is PostgreSQL's answer to a statement, after which the connection goes on.
 *
 * FATAL is not: it ends the connection, and a pooler also sends it when its server left without answers. Severities are
 * translated: on a server of another language no error counts, which costs a connection and invents no certainty.
 */
export function isStatementError(error: unknown): boolean {
  return asRecord(error).severity === 'ERROR' && anatomy(error).sqlState !== null
}

/**
 * A migration changed the columns of a statement that this connection has prepared. The connection keeps the name, so
 * every later use of it would fail as well.
 */
export function isPlanOutdated(error: unknown): boolean {
  const { routine, code } = asRecord(error)
  return code === '0A000' && routine === 'RevalidateCachedQuery'
}

function isHouseError(error: unknown): boolean {
  return (
    error instanceof DatabaseUnavailable ||
    error instanceof CommitUnknown ||
    error instanceof LockNotAvailable ||
    error instanceof UniqueViolation ||
    error instanceof TransactionConflict
  )
}

interface Anatomy {
  readonly sqlState: string | null
  readonly constraint: string | null
  readonly unreachable: boolean
}

/** Prisma's own codes for a database that it could not reach, or whose pool had no connection left. */
const unreachablePrismaCodes = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028'])
const unreachableKinds = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections'])
/** The driver's faults that carry no code at all. */
const brokenConnectionMessages = ['Connection terminated', 'Query read timeout']
const unsentMessages = [
  'timeout exceeded when trying to connect',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'Cannot use a pool after calling end on the pool',
]

function anatomy(error: unknown): Anatomy {
  const record = asRecord(error)
  // A known request error of Prisma carries the driver's under `meta`; a bare driver error carries it as its cause.
  const driver = asRecord(asRecord(asRecord(record.meta).driverAdapterError).cause ?? record.cause)
  const sqlState = [driver.originalCode, record.code].find(isSqlState) ?? null
  // `pg` names the constraint on the error itself.
  const index = asRecord(driver.constraint).index ?? record.constraint
  const message = error instanceof Error ? error.message : ''
  return {
    sqlState,
    constraint: typeof index === 'string' ? index : null,
    unreachable:
      unreachablePrismaCodes.has(String(record.code)) ||
      unreachableKinds.has(String(driver.kind)) ||
      /^E(CONN|PIPE|HOST|NET|TIMEDOUT|NOTFOUND|AI_AGAIN)/.test(String(record.code)) ||
      brokenConnectionMessages.some((text) => message.startsWith(text)) ||
      neverSent(error),
  }
}

function neverSent(error: unknown): boolean {
  return error instanceof Error && unsentMessages.includes(error.message)
}

function isSqlState(value: unknown): value is string {
  // Prisma's own codes have the same length and begin with P; the only SQLSTATE class with that letter is PL/pgSQL's.
  return typeof value === 'string' && /^[0-9A-Z]{5}$/.test(value) && !/^P[1-6]/.test(value)
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
