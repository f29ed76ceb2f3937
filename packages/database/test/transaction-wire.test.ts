import { Socket } from 'node:net'
import { type FramedMessage, postgresQuery, postgresWarning } from '@seatbelt/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CommitUnknown, type Database, sql } from '../src/index.ts'
import { type Bench, guard, insertAccount, lockReadAndWrite, startBench } from './transaction-support.ts'

let bench: Bench
let database: Database
beforeAll(async () => {
  bench = await startBench()
  database = bench.open()
})
afterEach(() => {
  bench.proxy.rewrite('to-server', null)
  bench.proxy.rewrite('to-client', null)
})
afterAll(() => bench?.close())

/** Counts what leaves this process, below the buffers of the socket: each call is one write to the system. */
async function countingWrites<T>(work: () => Promise<T>): Promise<{ readonly writes: number; readonly result: T }> {
  const sockets = Socket.prototype as unknown as { _writeGeneric(...rest: unknown[]): unknown }
  const original = sockets._writeGeneric
  let writes = 0
  sockets._writeGeneric = function (this: Socket, ...rest: unknown[]) {
    if (this.remotePort === bench.proxy.port) writes++
    return original.apply(this, rest)
  }
  try {
    return { result: await work(), writes }
  } finally {
    sockets._writeGeneric = original
  }
}

async function countingRoundTrips(work: () => Promise<unknown>): Promise<number> {
  const before = bench.proxy.roundTrips
  await work()
  return bench.proxy.roundTrips - before
}

const isBegin = ({ kind, text }: FramedMessage) => kind === 'query' && text.startsWith('BEGIN')

describe('a transaction on the wire', () => {
  it('that locks, reads and writes makes two socket writes and two round trips', async () => {
    await database.query(sql`SELECT 1`)
    const counted = await countingWrites(() =>
      countingRoundTrips(() => database.transaction((tx) => lockReadAndWrite(tx, 'two writes'))),
    )
    expect(counted).toEqual({ writes: 2, result: 2 })
    expect(await bench.names()).toContain('two writes')
  })

  it('that only writes sends BEGIN first, and all writes with COMMIT after it', async () => {
    const counted = await countingWrites(() =>
      countingRoundTrips(() =>
        database.transaction(async (tx) => {
          for (const name of ['w1', 'w2', 'w3']) tx.write(insertAccount(name))
        }),
      ),
    )
    expect(counted).toEqual({ writes: 2, result: 2 })
    expect(await bench.names()).toEqual(expect.arrayContaining(['w1', 'w2', 'w3']))
  })

  it('that issues nothing sends nothing', async () => {
    expect(await countingRoundTrips(() => database.transaction(async () => 'nothing'))).toBe(0)
  })

  it('names the statements of its work, by their text, and neither BEGIN nor COMMIT', async () => {
    const sent: string[] = []
    bench.proxy.rewrite('to-server', ({ kind, text, bytes }) => {
      if (kind === 'query') sent.push(text)
      if (kind === 'parse') sent.push(bytes.toString('utf8', 5, bytes.indexOf(0, 5)))
      return null
    })
    const other = bench.open()
    await other.transaction((tx) => tx.read(sql`SELECT ${1}::int`))
    expect(sent).toEqual(['BEGIN ISOLATION LEVEL READ COMMITTED', expect.stringMatching(/^s[\w-]{22}$/), 'COMMIT'])
  })
})

describe('without an open transaction', () => {
  it('nothing is written, where BEGIN alone fails', async () => {
    bench.proxy.rewrite('to-server', (message) => (isBegin(message) ? postgresQuery('SELECT 1 / 0') : null))
    const read = database.transaction((tx) => lockReadAndWrite(tx, 'never'))
    await expect(read).rejects.toMatchObject({ code: '22012' })
    const unread = database.transaction(async (tx) => tx.write(insertAccount('never')))
    await expect(unread).rejects.toMatchObject({ code: '22012' })
    const returning = database.transaction((tx) => tx.writeReturning(insertAccount('never')))
    await expect(returning).rejects.toMatchObject({ code: '22012' })
    expect(await bench.names()).not.toContain('never')
  })

  it('nothing is written, where BEGIN is answered and opens none', async () => {
    bench.proxy.rewrite('to-server', (message) => (isBegin(message) ? postgresQuery('SELECT 1') : null))
    const unopened = 'BEGIN was answered and did not open a transaction'
    await expect(database.transaction((tx) => lockReadAndWrite(tx, 'never'))).rejects.toThrow(unopened)
    await expect(database.transaction(async (tx) => tx.write(insertAccount('never')))).rejects.toThrow(unopened)
    expect(await bench.names()).not.toContain('never')
  })
})

describe('a read', () => {
  it('that writes is refused, because it may leave before BEGIN was answered', async () => {
    const writes = [
      insertAccount('never'),
      sql`WITH gone AS (DELETE FROM accounts RETURNING id) SELECT id FROM gone`,
      sql`UPDATE accounts AS mine SET name = 'x'`,
    ]
    for (const write of writes)
      await expect(
        database.transaction((tx) => tx.read(write)),
        write.text,
      ).rejects.toThrow('a read must not write')
    await database.transaction((tx) => tx.read(sql`SELECT 1 FROM accounts FOR UPDATE SKIP LOCKED`))
  })
})

describe('COMMIT', () => {
  const isCommitted = ({ kind, text }: FramedMessage) => kind === 'complete' && text === 'COMMIT'
  const warnAtCommit = (warning: Buffer) =>
    bench.proxy.rewrite('to-client', (message) =>
      isCommitted(message) ? Buffer.concat([warning, message.bytes]) : null,
    )
  const writeOnce = (name: string) => database.transaction((tx) => lockReadAndWrite(tx, name))

  it('that is answered with the tag ROLLBACK is a failure, also without an error', async () => {
    bench.proxy.rewrite('to-server', ({ kind, text }) =>
      kind === 'query' && text === 'COMMIT' ? postgresQuery('ROLLBACK') : null,
    )
    await expect(writeOnce('never')).rejects.toThrow('COMMIT was answered with ROLLBACK')
    expect(await bench.names()).not.toContain('never')
  })

  it.each([
    // What PostgreSQL 18 sends when a wait for a synchronous standby is cancelled.
    { severity: 'WARNING', code: '01000', message: 'canceling wait for synchronous replication due to user request' },
    // The severity is translated, the SQLSTATE is not.
    {
      severity: 'WARNUNG',
      code: '01000',
      message: 'storniere Warten auf synchrone Replikation wegen Benutzeraufforderung',
    },
    { severity: 'WARNING', code: '25P01', message: 'there is no transaction in progress' },
  ])('with a warning is unknown: $severity $message', async (warning) => {
    warnAtCommit(postgresWarning(warning))
    const unknown = await writeOnce(warning.message).catch((fault: unknown) => fault)
    expect(unknown).toBeInstanceOf(CommitUnknown)
    expect(unknown).toMatchObject({ result: warning.message, message: expect.stringContaining(warning.message) })
    bench.proxy.rewrite('to-client', null)
    expect(await writeOnce(`after ${warning.severity}`)).toBe(`after ${warning.severity}`)
  })

  it('with a notice is committed', async () => {
    warnAtCommit(postgresWarning({ severity: 'NOTICE', code: '00000' }))
    expect(await writeOnce('with a notice')).toBe('with a notice')
  })

  it('is committed where an earlier statement of the same write warned', async () => {
    await database.transaction(async (tx) => {
      tx.write(sql`DO $$ BEGIN RAISE WARNING 'early'; END $$`)
      tx.write(insertAccount('warned early'))
    })
    expect(await bench.names()).toContain('warned early')
  })

  it('of a deferred constraint that fails is a known failure', async () => {
    await bench.witness.query(`
      CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
      INSERT INTO deferred VALUES (1)`)
    const twice = database.transaction(async (tx) => tx.write(sql`INSERT INTO deferred VALUES (1)`))
    await expect(twice).rejects.toMatchObject({ code: 'unique-violation', constraint: 'deferred_pkey' })
    expect(await database.transaction((tx) => tx.read(sql`SELECT id FROM deferred`))).toEqual([{ id: 1 }])
  })

  it('travels with a guard that fails, and rolls back', async () => {
    const tags: string[] = []
    bench.proxy.rewrite('to-client', ({ kind, text }) => {
      if (kind === 'complete') tags.push(text)
      return null
    })
    const failing = database.transaction<void, never>(async (tx) => {
      tx.write(insertAccount('never'))
      tx.write(guard(false, 'always-fails'))
      tx.write(insertAccount('never'))
    })
    await expect(failing).rejects.toMatchObject({ guard: 'always-fails' })
    expect(tags).toEqual([
      'BEGIN',
      'INSERT 0 1',
      'ROLLBACK',
      'BEGIN',
      'INSERT 0 1',
      'ROLLBACK',
      'BEGIN',
      'INSERT 0 1',
      'ROLLBACK',
    ])
    expect(await bench.names()).not.toContain('never')
  })
})

describe('a connection that is not fit for another user is closed:', () => {
  it('its ROLLBACK was answered, and the transaction is still open', async () => {
    bench.proxy.rewrite('to-server', ({ kind, text }) =>
      kind === 'query' && text === 'ROLLBACK' ? postgresQuery('SELECT 1') : null,
    )
    const thrown = database.transaction(async (tx) => {
      await tx.writeReturning(insertAccount('never'))
      throw new Error('no')
    })
    await expect(thrown).rejects.toThrow('no')
    expect(await database.transaction((tx) => lockReadAndWrite(tx, 'next user'))).toBe('next user')
    expect(await bench.names()).not.toContain('never')
  })

  const unsendable = {
    toPostgres: () => {
      throw new Error('not a value')
    },
  }

  it('the driver could not send a value, and believes that it prepared the statement', async () => {
    const text = 'SELECT $1::text AS value'
    for (const value of [unsendable, 'a value']) {
      const rows = database.transaction((tx) => tx.read({ text, values: [value] }))
      if (value === unsendable) await expect(rows).rejects.toThrow('not a value')
      else expect(await rows).toEqual([{ value }])
    }
  })

  it('the driver could not send a value, and the work swallowed that: nothing is committed', async () => {
    const swallowed = database.transaction(async (tx) => {
      await tx.writeReturning(insertAccount('never'))
      tx.write({ text: 'SELECT $1::text', values: [unsendable] })
      await tx.read(sql`SELECT 1`).catch(() => 'swallowed')
    })
    await expect(swallowed).rejects.toThrow('not a value')
    expect(await bench.names()).not.toContain('never')
  })
})

describe("Prisma's adapter on the same pool", () => {
  it('reads, also many at once and between transactions', async () => {
    const shared = bench.open({ poolSize: 2 })
    const count = () => shared.statement((client) => client.account.count())
    const write = (name: string) => shared.transaction((tx) => lockReadAndWrite(tx, name))
    const before = await count()
    await Promise.all([count(), write('p1'), count(), write('p2'), count(), write('p3')])
    expect(await count()).toBe(before + 3)
  })

  it('leaves the connection usable when one of its statements fails', async () => {
    const failing = database.statement((client) => client.$queryRaw`SELECT 1 / 0`)
    const writing = database.transaction((tx) => lockReadAndWrite(tx, 'beside a fault'))
    await expect(failing).rejects.toThrow()
    expect(await writing).toBe('beside a fault')
    expect(await database.statement((client) => client.account.count({ where: { name: 'beside a fault' } }))).toBe(1)
  })
})
