import { describe, expect, it } from 'vitest'
import { readCommitError, readDatabaseError } from '../src/database-error.ts'

/** As Prisma wraps what PostgreSQL said. */
const fromServer = (originalCode: string) =>
  Object.assign(new Error('from the server'), { meta: { driverAdapterError: { cause: { originalCode } } } })
/** As the driver throws it. */
const fromDriver = (message: string, code?: string) => Object.assign(new Error(message), code && { code })

describe('a fault before COMMIT', () => {
  it.each([
    fromServer('57P01'),
    fromServer('57014'),
    fromServer('25006'),
    fromServer('53300'),
    fromServer('08006'),
    fromDriver('connect', 'ECONNREFUSED'),
    fromDriver('getaddrinfo', 'EAI_AGAIN'),
    fromDriver('Query read timeout'),
    fromDriver('Connection terminated unexpectedly'),
    fromDriver('timeout exceeded when trying to connect'),
  ])('of a database that cannot be used is told as that: $message $code', (fault) => {
    expect(readDatabaseError(fault)).toMatchObject({ code: 'database-unavailable', cause: fault })
  })

  it('that is no fault of the database comes back as it was', () => {
    for (const fault of [new TypeError('ours'), fromServer('42P01'), fromDriver('Transaction', 'P2025'), null])
      expect(readDatabaseError(fault)).toBe(fault)
  })
})

describe('a fault at COMMIT', () => {
  it('is known to have left nothing only by the word of the server, or where nothing was sent', () => {
    expect(readCommitError(fromServer('40001'))).toMatchObject({ code: 'transaction-conflict' })
    expect(readCommitError(fromServer('23505'))).toMatchObject({ code: 'unique-violation' })
    const unsent = fromDriver('Client has encountered a connection error and is not queryable')
    expect(readCommitError(unsent)).toMatchObject({ code: 'database-unavailable' })
  })

  it.each([
    fromServer('40003'),
    fromServer('57P01'),
    fromServer('57014'),
    fromServer('08006'),
    fromDriver('write', 'ECONNRESET'),
    fromDriver('Query read timeout'),
    fromDriver('Connection terminated unexpectedly'),
    fromDriver('Transaction already closed', 'P2028'),
    new TypeError('whatever else'),
  ])('is unknown otherwise, also where before it the same would be known: $message $code', (fault) => {
    expect(readCommitError(fault)).toMatchObject({ code: 'commit-unknown', cause: fault })
  })
})
