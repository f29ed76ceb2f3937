import { describe, expect, it } from 'vitest'
import { isStatementError, readCommitError, readDatabaseError } from '../src/database-error.ts'

/** As Prisma wraps what PostgreSQL answered. */
const throughPrisma = (originalCode: string) =>
  Object.assign(new Error('from the server'), { meta: { driverAdapterError: { cause: { originalCode } } } })
/** As the driver reports what PostgreSQL answered. */
const fromServer = (code: string, severity = 'ERROR') => Object.assign(new Error('from the server'), { code, severity })
/** An error of the driver or of Node. */
const fromDriver = (message: string, code?: string) => Object.assign(new Error(message), code && { code })

const atCommit = (error: unknown, earlier?: unknown) => readCommitError(error, { earlier, result: 'the result' })

describe('an error before COMMIT', () => {
  it.each([
    throughPrisma('57P01'),
    throughPrisma('57014'),
    throughPrisma('25006'),
    throughPrisma('53300'),
    throughPrisma('08006'),
    fromServer('57P01', 'FATAL'),
    fromServer('25P03', 'FATAL'),
    fromServer('08P01', 'FATAL'),
    fromDriver('connect', 'ECONNREFUSED'),
    fromDriver('write', 'EPIPE'),
    fromDriver('getaddrinfo', 'EAI_AGAIN'),
    fromDriver('Query read timeout'),
    fromDriver('Connection terminated unexpectedly'),
    fromDriver('timeout exceeded when trying to connect'),
  ])('of a database that cannot be used is reported as that: $message $code', (fault) => {
    expect(readDatabaseError(fault)).toMatchObject({ code: 'database-unavailable', cause: fault })
  })

  it('has the same class from the driver and from Prisma', () => {
    for (const wrap of [fromServer, throughPrisma]) {
      expect(readDatabaseError(wrap('40P01'))).toMatchObject({ code: 'transaction-conflict' })
      expect(readDatabaseError(wrap('55P03'))).toMatchObject({ code: 'lock-not-available' })
      expect(readDatabaseError(wrap('23505'))).toMatchObject({ code: 'unique-violation' })
    }
  })

  it('of a guard names the guard, and is a conflict', () => {
    const failed = Object.assign(fromServer('SB001'), { constraint: 'order-version' })
    expect(readDatabaseError(failed)).toMatchObject({ code: 'transaction-conflict', guard: 'order-version' })
  })

  it('that is no fault of the database stays as it is', () => {
    for (const fault of [new TypeError('ours'), fromServer('42P01'), fromDriver('Transaction', 'P2025'), null])
      expect(readDatabaseError(fault)).toBe(fault)
  })
})

describe('an error at COMMIT', () => {
  it('is known to have left nothing only by an answer of the server, or where nothing was sent', () => {
    expect(atCommit(fromServer('40001'))).toMatchObject({ code: 'transaction-conflict' })
    expect(atCommit(fromServer('23505'))).toMatchObject({ code: 'unique-violation' })
    const unsent = fromDriver('Client has encountered a connection error and is not queryable')
    expect(atCommit(unsent)).toMatchObject({ code: 'database-unavailable' })
  })

  it.each([
    fromServer('40003'),
    fromServer('57P01', 'FATAL'),
    fromServer('57014'),
    fromServer('08006', 'FATAL'),
    fromDriver('write', 'ECONNRESET'),
    fromDriver('write', 'EPIPE'),
    fromDriver('Query read timeout'),
    fromDriver('Connection terminated unexpectedly'),
    new TypeError('anything else'),
  ])('is unknown otherwise, also where before it the same error would be known: $message $code', (fault) => {
    expect(atCommit(fault)).toMatchObject({ code: 'commit-unknown', cause: fault, result: 'the result' })
  })

  it('is known to have left nothing where an earlier statement failed', () => {
    const cut = fromDriver('Connection terminated unexpectedly')
    expect(atCommit(cut, fromServer('23505'))).toMatchObject({ code: 'unique-violation' })
    expect(atCommit(cut, fromServer('57014'))).toMatchObject({ code: 'database-unavailable' })
  })

  it.each([
    // PgBouncer sends this for the first statement without an answer, when the server left after it had committed.
    fromServer('08P01', 'FATAL'),
    fromServer('57P01', 'FATAL'),
    fromDriver('write', 'EPIPE'),
    fromDriver('Connection terminated unexpectedly'),
  ])('stays unknown where an earlier statement has no answer either: $message $code', (earlier) => {
    expect(atCommit(fromDriver('Connection terminated unexpectedly'), earlier)).toMatchObject({
      code: 'commit-unknown',
    })
  })
})

describe('an answer to a statement', () => {
  it('is an error of the server that does not end the connection', () => {
    expect(isStatementError(fromServer('23505'))).toBe(true)
    for (const error of [fromServer('57P01', 'FATAL'), fromDriver('write', 'EPIPE'), new TypeError('ours'), undefined])
      expect(isStatementError(error)).toBe(false)
  })
})
