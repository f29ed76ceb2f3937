import type pg from 'pg'
import { forgetWarning, lastWarning, noteError, send, socketOf } from './connection.ts'
import { CommitUnknown, readCommitError, readDatabaseError } from './database-error.ts'
import { assertReads, type Statement, statementName } from './sql.ts'

/**
 * One READ COMMITTED transaction that sends its statements in few socket writes.
 *
 * Reads travel with BEGIN, and writes travel with the next read or with COMMIT, each group in one write. So a step that
 * reads, decides and writes costs two round trips.
 */
export interface Tx {
  /**
   * Sends a SELECT, with all that was issued before it, and resolves with its rows.
   *
   * It may lock, and must not write: it may leave before PostgreSQL has answered BEGIN. Throws where the text writes.
   */
  read<Row>(statement: Statement): Promise<Row[]>
  /**
   * Issues a write whose rows are not needed. It is sent with the next statement that is awaited, or with COMMIT.
   *
   * It leaves only after PostgreSQL has opened the transaction, so no write can run outside of it. If it fails, the
   * COMMIT that travels with it rolls back, and `transaction()` throws.
   */
  write(statement: Statement): void
  /** As `write`, and resolves with the rows, which costs a round trip. */
  writeReturning<Row>(statement: Statement): Promise<Row[]>
  /**
   * Calls `publish` once this transaction is committed, in the order of the calls; never if it is rolled back.
   *
   * Does not guarantee that it is called: the process may die in between, or COMMIT may not be answered. So it is for
   * hints alone. An error of `publish` is dropped, because a commit must not look like a fault.
   */
  afterCommit(publish: () => void): void
}

/** Ends the transaction without its writes and makes `value` its result. For refusals that are found after a write. */
export type RollBack<R> = (value: R) => never

/**
 * Runs `work` once on this connection, from BEGIN to COMMIT, and returns what it returned.
 *
 * Every result has arrived when it settles, so the connection can be released. Only the command tag COMMIT counts as
 * committed. Fails with the classes of `database-error.ts`, or with what `work` threw after a ROLLBACK.
 */
export async function runTransaction<T, R>(
  connection: pg.PoolClient,
  work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>,
  options: { readonly prepared: boolean },
): Promise<T | R> {
  const tx = new PipelinedTransaction(connection, options.prepared)
  let result: T
  try {
    result = await work(tx, rollBack)
  } catch (error) {
    await tx.rollBack()
    if (error instanceof RolledBack) return error.value as R
    throw tx.fault ?? error
  }
  await tx.commit(result)
  return result
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

interface Issued {
  readonly statement: Statement
  /** Waits until the server has said that the transaction is open. */
  readonly isWrite: boolean
  readonly settle: (fault: unknown, result?: pg.QueryResult) => void
}

const begin: Statement = { text: 'BEGIN ISOLATION LEVEL READ COMMITTED', values: [] }
const commit: Statement = { text: 'COMMIT', values: [] }
const rollback: Statement = { text: 'ROLLBACK', values: [] }
/** Without names: BEGIN and COMMIT need none, and poolers watch for them. */
const commands = new Set([begin, commit, rollback])

class PipelinedTransaction implements Tx {
  readonly #connection: pg.PoolClient
  readonly #prepared: boolean
  /** Issued and not yet sent, in their order. */
  readonly #waiting: Issued[] = []
  readonly #publications: (() => void)[] = []
  /** Sent and not yet answered. PostgreSQL answers in their order. */
  #unanswered = 0
  #isCorked = false
  #isBeginSent = false
  #hasWritten = false
  #isCommitSent = false
  #hasEnded = false
  /** As the driver reported it. Errors behind it only say that the transaction is aborted. */
  #firstError: unknown
  /** The first error of any statement, in our classes. */
  fault: unknown

  constructor(connection: pg.PoolClient, prepared: boolean) {
    this.#connection = connection
    this.#prepared = prepared
  }

  read<Row>(statement: Statement): Promise<Row[]> {
    assertReads(statement.text)
    return this.#ask<Row>(statement, false)
  }

  writeReturning<Row>(statement: Statement): Promise<Row[]> {
    return this.#ask<Row>(statement, true)
  }

  write(statement: Statement): void {
    if (this.#hasEnded) throw new Error('the transaction has ended')
    this.#waiting.push({ statement, isWrite: true, settle: ignore })
  }

  afterCommit(publish: () => void): void {
    this.#publications.push(publish)
  }

  /** Sends what is left together with COMMIT, and awaits all answers. */
  async commit(result: unknown): Promise<void> {
    this.#hasEnded = true
    if (this.#isBeginSent || this.#waiting.length > 0) {
      const fault = await this.#commitFault(result)
      if (fault !== undefined) {
        await this.rollBack()
        throw fault
      }
    }
    for (const publish of this.#publications) {
      try {
        publish()
      } catch {
        // A hint is lost; the commit is not.
      }
    }
  }

  /** Ends the transaction if the server may have one open, and awaits all answers. */
  async rollBack(): Promise<void> {
    this.#hasEnded = true
    for (const { settle } of this.#waiting.splice(0)) settle(new Error('the transaction was rolled back'))
    const isKnownToBeClosed = this.#unanswered === 0 && this.#connection.getTransactionStatus() === 'I'
    if (!this.#isBeginSent || isKnownToBeClosed) return
    // Its answer is the last one. The pool drops a connection that does not give it.
    await new Promise<void>((resolve) => this.#send({ statement: rollback, isWrite: false, settle: () => resolve() }))
  }

  /** Why the transaction must not count as committed, or undefined if it was. */
  async #commitFault(result: unknown): Promise<unknown> {
    const { error, tag } = await new Promise<{ error?: unknown; tag?: string }>((resolve) =>
      this.#issue({
        statement: commit,
        isWrite: true,
        settle: (error, result) => resolve(result ? { tag: result.command } : { error }),
      }),
    )
    if (tag === 'COMMIT') {
      const warning = this.#hasWritten ? lastWarning(this.#connection) : undefined
      return warning && new CommitUnknown(`PostgreSQL committed with a warning: ${warning}`, { result })
    }
    if (tag !== undefined || !this.#isCommitSent) return this.fault ?? new Error(`COMMIT was answered with ${tag}`)
    if (!this.#hasWritten) return this.fault ?? readDatabaseError(error)
    return readCommitError(error, { earlier: this.#firstError, result })
  }

  #ask<Row>(statement: Statement, isWrite: boolean): Promise<Row[]> {
    if (this.#hasEnded) return Promise.reject(new Error('the transaction has ended'))
    const rows = new Promise<Row[]>((resolve, reject) =>
      this.#issue({ statement, isWrite, settle: (fault, result) => (result ? resolve(result.rows) : reject(fault)) }),
    )
    // A caller may issue several and await one of them. The transaction reports the first error in any case.
    rows.catch(ignore)
    return rows
  }

  #issue(issued: Issued): void {
    this.#waiting.push(issued)
    if (!this.#isBeginSent) this.#begin()
    this.#sendWaiting()
  }

  #begin(): void {
    this.#isBeginSent = true
    const settle = (fault: unknown) => {
      if (fault === undefined && this.#connection.getTransactionStatus() !== 'T')
        this.#fail(new Error('BEGIN was answered and did not open a transaction'))
    }
    this.#send({ statement: begin, isWrite: false, settle })
  }

  /**
   * Sends what may leave, in order.
   *
   * The first write holds back all behind it until an answer of the server has said that the transaction is open. So
   * nothing depends on BEGIN having worked.
   */
  #sendWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const mayLeave = !next.isWrite || this.#connection.getTransactionStatus() === 'T'
      if (this.#firstError === undefined && !mayLeave) return
      this.#waiting.shift()
      if (this.#firstError === undefined) this.#send(next)
      else next.settle(this.fault)
    }
  }

  #send({ statement, isWrite, settle }: Issued): void {
    this.#cork()
    if (statement === commit) this.#isCommitSent = true
    else if (isWrite) this.#hasWritten = true
    if (this.#unanswered === 0) forgetWarning(this.#connection)
    this.#unanswered += 1
    const isCommand = commands.has(statement)
    const name = this.#prepared && !isCommand ? statementName(statement.text) : undefined
    send(this.#connection, statement, name, (error, result) => {
      this.#unanswered -= 1
      // A warning from here on belongs to the last statement, which is COMMIT if it was sent.
      if (this.#unanswered === 1) forgetWarning(this.#connection)
      if (error) noteError(this.#connection, error)
      if (!error) settle(undefined, result)
      else if (statement === commit || statement === rollback) settle(error)
      else settle(this.#fail(error))
      this.#sendWaiting()
    })
  }

  #fail(error: unknown): unknown {
    if (this.#firstError === undefined) {
      this.#firstError = error
      this.fault = readDatabaseError(error)
    }
    return this.fault
  }

  /** All that is sent in one turn leaves in one socket write: a tick runs after the promises of the turn have run. */
  #cork(): void {
    if (this.#isCorked) return
    const socket = socketOf(this.#connection)
    this.#isCorked = true
    socket.cork()
    process.nextTick(() => {
      this.#isCorked = false
      socket.uncork()
    })
  }
}

function ignore(): void {}
