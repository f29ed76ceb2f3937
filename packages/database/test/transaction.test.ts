import { randomUUID } from 'node:crypto'
import { createLatch, eventually, patienceMs } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type Database, sql, type Tx } from '../src/index.ts'
import { type Bench, guard, insertAccount, startBench } from './transaction-support.ts'

let bench: Bench
let database: Database
beforeAll(async () => {
  bench = await startBench()
  database = bench.open({ poolSize: 4 })
})
afterAll(() => bench?.close())

describe('transaction', () => {
  it('commits what its work wrote, and nothing of work that threw or rolled back', async () => {
    const write = (name: string, end: 'commit' | 'throw' | 'roll back') =>
      database.transaction<string, string>(async (tx, rollBack) => {
        tx.write(insertAccount(name))
        if (end === 'throw') throw new Error('no')
        return end === 'roll back' ? rollBack('rolled back') : 'committed'
      })
    expect(await write('a', 'commit')).toBe('committed')
    await expect(write('b', 'throw')).rejects.toThrow('no')
    expect(await write('c', 'roll back')).toBe('rolled back')
    expect(await bench.names()).toEqual(['a'])
  })

  it('rolls back what was sent before its work threw or rolled back', async () => {
    const write = (name: string, end: 'throw' | 'roll back') =>
      database.transaction<string, string>(async (tx, rollBack) => {
        await tx.writeReturning(insertAccount(name))
        if (end === 'throw') throw new Error('no')
        return rollBack('rolled back')
      })
    await expect(write('b', 'throw')).rejects.toThrow('no')
    expect(await write('c', 'roll back')).toBe('rolled back')
    expect(await bench.names()).toEqual(['a'])
  })

  it('runs statements in the order in which they were issued, and returns their rows', async () => {
    const seen = await database.transaction(async (tx) => {
      const before = tx.read<{ n: number }>(sql`SELECT count(*)::int AS n FROM accounts`)
      tx.write(insertAccount('in order'))
      const between = tx.read<{ n: number }>(sql`SELECT count(*)::int AS n FROM accounts`)
      const deleted = tx.writeReturning<{ name: string }>(
        sql`DELETE FROM accounts WHERE name = 'in order' RETURNING name`,
      )
      return Promise.all([before, between, deleted])
    })
    expect(seen).toEqual([[{ n: 1 }], [{ n: 2 }], [{ name: 'in order' }]])
  })

  it('names the columns of its rows as Prisma does, and leaves names in quotes as they are', async () => {
    const statement = sql`SELECT 1 AS order_id, 2 AS "gatewayId", 3 AS state, 4 AS key_2 UNION SELECT 5, 6, 7, NULL`
    const rows = [
      { orderId: 1, gatewayId: 2, state: 3, key2: 4 },
      { orderId: 5, gatewayId: 6, state: 7, key2: null },
    ]
    // The second time it is prepared.
    for (let run = 0; run < 2; run++) {
      expect(await database.query(statement)).toEqual(rows)
      expect(await database.transaction((tx) => tx.read(statement))).toEqual(rows)
      expect(await database.transaction((tx) => tx.writeReturning(statement))).toEqual(rows)
    }
  })

  it('reads a unique violation the same way from Prisma and from SQL', async () => {
    const id = randomUUID()
    await database.query(insertAccount('unique', id))
    const expected = { code: 'unique-violation', constraint: 'accounts_pkey' }
    const byPrisma = database.statement((client) => client.account.create({ data: { id, name: 'x' } }))
    await expect(byPrisma).rejects.toMatchObject(expected)
    await expect(database.query(insertAccount('x', id))).rejects.toMatchObject(expected)
    const inTransaction = database.transaction(async (tx) => tx.write(insertAccount('x', id)))
    await expect(inTransaction).rejects.toMatchObject(expected)
  })

  it('reports the error of a write, also to work that swallows it', async () => {
    const swallowed = database.transaction(async (tx) => {
      tx.write(insertAccount('never'))
      await tx.writeReturning(sql`SELECT 1 / 0`).catch(() => 'swallowed')
      return 'committed'
    })
    await expect(swallowed).rejects.toMatchObject({ code: '22012' })
    expect(await bench.names()).not.toContain('never')
  })

  it('takes no statement after its end', async () => {
    const left: Tx[] = []
    await database.transaction(async (tx) => void left.push(tx))
    const [tx] = left
    expect(() => tx?.write(insertAccount('late'))).toThrow('has ended')
    await expect(tx?.read(sql`SELECT 1`)).rejects.toThrow('has ended')
  })

  it('answers statements that were not sent when the work threw', async () => {
    let pending: Promise<unknown> = Promise.resolve()
    const thrown = database.transaction(async (tx) => {
      pending = tx.writeReturning(insertAccount('never'))
      throw new Error('no')
    })
    await expect(thrown).rejects.toThrow('no')
    await expect(pending).rejects.toThrow('rolled back')
  })

  it('is READ COMMITTED, whatever the database has as its default', async () => {
    const { pathname } = new URL(bench.url)
    const alter = (value: string) =>
      bench.witness.query(`ALTER DATABASE "${pathname.slice(1)}" SET default_transaction_isolation = '${value}'`)
    await alter('repeatable read')
    const strict = bench.open()
    const isolation = sql`SELECT current_setting('transaction_isolation') AS is`
    expect(await strict.query(isolation)).toEqual([{ is: 'repeatable read' }])
    await alter('read committed')
    expect(await strict.transaction((tx) => tx.read(isolation))).toEqual([{ is: 'read committed' }])
  })
})

describe('after a conflict', () => {
  it('a victim of a deadlock runs again, and both commit', async () => {
    const [a, b] = [randomUUID(), randomUUID()]
    for (const id of [a, b]) await database.query(insertAccount('deadlock', id))
    const [firstHolds, secondHolds] = [createLatch('first'), createLatch('second')]
    let runs = 0
    const rename = (ids: string[], mine: typeof firstHolds, others: typeof firstHolds) =>
      database.transaction(async (tx) => {
        runs++
        await tx.writeReturning(sql`UPDATE accounts SET name = 'held' WHERE id = ${ids[0] as string}::uuid`)
        mine.open()
        await others.wait()
        tx.write(sql`UPDATE accounts SET name = 'done' WHERE id = ${ids[1] as string}::uuid`)
      })
    await Promise.all([rename([a, b], firstHolds, secondHolds), rename([b, a], secondHolds, firstHolds)])
    // The victim may meet the other transaction once more before that has woken up.
    expect(runs).toBeGreaterThanOrEqual(3)
    // The later one wrote over both rows.
    expect((await bench.names()).filter((name) => name === 'done' || name === 'held')).toEqual(['done', 'held'])
  })

  it('a failed guard rolls back the COMMIT that travels with it, and the work runs again', async () => {
    let runs = 0
    const result = await database.transaction(async (tx) => {
      runs++
      tx.write(insertAccount(`guarded ${runs}`))
      tx.write(guard(runs === 2, 'second-run'))
      return runs
    })
    expect(result).toBe(2)
    expect((await bench.names()).filter((name) => name.startsWith('guarded'))).toEqual(['guarded 2'])
  })

  it('work whose guard fails three times is given up, with the name of the guard', async () => {
    let runs = 0
    const never = database.transaction(async (tx) => {
      runs++
      tx.write(insertAccount('never'))
      tx.write(guard(false, 'never-holds'))
    })
    await expect(never).rejects.toMatchObject({ code: 'transaction-conflict', guard: 'never-holds' })
    expect(runs).toBe(3)
    expect(await bench.names()).not.toContain('never')
  })

  it('a guard of a null fails', async () => {
    const never = database.transaction(async (tx) => tx.write(sql`SELECT guard(NULL, 'null')`))
    await expect(never).rejects.toMatchObject({ guard: 'null' })
  })

  it('only what the committed run registered is published, in its order', async () => {
    const published: string[] = []
    let runs = 0
    await database.transaction(async (tx) => {
      runs++
      for (const hint of ['a', 'throws', 'b'])
        tx.afterCommit(() => {
          published.push(`${hint} of run ${runs}`)
          if (hint === 'throws') throw new Error('a hint is lost')
        })
      tx.write(guard(runs === 2, 'second-run'))
    })
    expect(published).toEqual(['a of run 2', 'throws of run 2', 'b of run 2'])
  })

  it('nothing is published by a transaction that rolled back', async () => {
    const published: string[] = []
    await database.transaction<string, string>(async (tx, rollBack) => {
      tx.afterCommit(() => published.push('never'))
      return rollBack('no')
    })
    expect(published).toEqual([])
  })

  it('one statement that lost a conflict is sent again', async () => {
    const id = randomUUID()
    await database.query(insertAccount('contended', id))
    const url = new URL(bench.url)
    url.searchParams.set('options', '-c default_transaction_isolation=repeatable\\ read')
    const strict = createDatabase({ url: url.href, poolSize: 1, applicationName: 'strict' })
    await bench.witness.query('BEGIN')
    await bench.witness.query("UPDATE accounts SET name = 'theirs' WHERE id = $1", [id])
    const renamed = strict.query(sql`UPDATE accounts SET name = name || ', ours' WHERE id = ${id}::uuid RETURNING name`)
    await eventually('the statement waits', async () => {
      const { rows } = await bench.witness.query(
        'SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))',
      )
      return rows.length > 0
    })
    await bench.witness.query('COMMIT')
    expect(await renamed).toEqual([{ name: 'theirs, ours' }])
    await strict.close()
  })
})

describe('a bound', () => {
  it('ends the wait for a row that another transaction holds', async () => {
    const id = randomUUID()
    await database.query(insertAccount('held', id))
    await bench.witness.query('BEGIN')
    await bench.witness.query('SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE', [id])
    const waiting = database.transaction(async (tx) =>
      tx.write(sql`UPDATE accounts SET name = 'x' WHERE id = ${id}::uuid`),
    )
    await expect(waiting).rejects.toMatchObject({ code: 'lock-not-available' })
    await bench.witness.query('ROLLBACK')
  })

  it('ends the wait for a connection, and nothing happened', async () => {
    const full = bench.open({ poolSize: 1, connectTimeoutMs: 2_000 })
    const [hasBegun, release] = [createLatch('the connection is taken'), createLatch('the connection is released')]
    const holder = full.transaction(() => {
      hasBegun.open()
      return release.wait()
    })
    await hasBegun.wait()
    await expect(full.transaction(async () => 'never')).rejects.toMatchObject({ code: 'database-unavailable' })
    await expect(full.query(insertAccount('never'))).rejects.toMatchObject({ code: 'database-unavailable' })
    release.open()
    await holder
    expect(await bench.names()).not.toContain('never')
  })

  it('is set for each connection on the server', async () => {
    const bounds = await database.query(sql`
      SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement,
             current_setting('idle_in_transaction_session_timeout') AS idle`)
    expect(bounds).toEqual([{ lock: '2s', statement: '5s', idle: '5s' }])
  })
})

it('a migration under a running process costs no statement: its prepared form is made anew', async () => {
  await bench.witness.query('CREATE TABLE migrated (a int); INSERT INTO migrated VALUES (1)')
  const pool = bench.open({ poolSize: 1 })
  const read = sql`SELECT * FROM migrated`
  expect(await pool.query(read)).toEqual([{ a: 1 }])
  await bench.witness.query('ALTER TABLE migrated ALTER COLUMN a TYPE text, ADD COLUMN b int')
  expect(await pool.query(read)).toEqual([{ a: '1', b: null }])
  expect(await pool.transaction((tx) => tx.read(read))).toEqual([{ a: '1', b: null }])
})

describe('close', () => {
  const openOne = async () => {
    const url = bench.proxy.through(bench.url)
    const one = createDatabase({ url, poolSize: 1, applicationName: 'closing', connectTimeoutMs: patienceMs })
    await one.query(sql`SELECT 1 AS one`)
    return one
  }

  it('resolves when its connections are closed, so that their database can be dropped', async () => {
    const before = bench.proxy.connections
    const closing = await openOne()
    const goodbye = bench.proxy.intercept({ matches: ({ kind }) => kind === 'terminate', at: 'request' })
    let isClosed = false
    const closed = closing.close().then(() => {
      isClosed = true
    })
    await goodbye.reached()
    expect(isClosed).toBe(false)
    goodbye.pass()
    await closed
    expect(bench.proxy.connections).toBe(before)
  })

  it('does not wait for a server that hangs', async () => {
    const closing = await openOne()
    bench.proxy.hold('to-server')
    await closing.close()
    bench.proxy.flow('to-server')
  })
})
