import { createLatch, eventually, type FreshDatabase, freshDatabase, startLeakCheck } from '@seatbelt/testing'
import { Client } from 'pg'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLockMetrics, isLockTimeout, LockTimeout, lockInTransaction, type Query } from '../src/index.ts'

/** Nobody waits so long in these tests: it bounds the test, not the claim. */
const longMs = 30_000

const leakCheck = startLeakCheck()
let database: FreshDatabase
let first: Client
let second: Client

beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
})
beforeEach(async () => {
  first = await connectPostgres()
  second = await connectPostgres()
})
afterEach(async () => {
  await first.end()
  await second.end()
})
afterAll(async () => {
  await database.close()
  await leakCheck.assertNoLeaks()
})

describe('an advisory lock in a transaction', () => {
  it.each(['COMMIT', 'ROLLBACK'])('keeps the second transaction waiting until the %s of the first', async (ending) => {
    await begin(first, second)
    await lockInTransaction(queryOf(first), 'order:1', { lockTimeoutMs: longMs })
    const order: string[] = []
    const waiting = lockInTransaction(queryOf(second), 'order:1', { lockTimeoutMs: longMs }).then(() =>
      order.push('second'),
    )
    await eventually('the second one waits', () => isWaiting(second))
    order.push('first ends')
    await first.query(ending)
    await waiting
    expect(order).toEqual(['first ends', 'second'])
    await second.query('COMMIT')
    // The time-out was the transaction's: the connection goes back to its pool as it was.
    expect((await second.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }])
  })

  it('refuses the second transaction after the time-out of that very statement, with its SQLSTATE', async () => {
    await begin(first, second)
    await lockInTransaction(queryOf(first), 'order:1', { lockTimeoutMs: longMs })
    // Nothing else bounds this wait: without the time-out in force it would last until the test's own end.
    expect((await second.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }])
    const startedAtMs = performance.now()
    const failure = await failureOf(lockInTransaction(queryOf(second), 'order:1', { lockTimeoutMs: 150 }))

    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(149)
    expect(isLockTimeout(failure)).toBe(true)
    expect(failure).toMatchObject({ code: 'lock-timeout', resource: 'order:1', cause: { code: '55P03' } })
    // The transaction cannot do anything any more, which is why the refusal was thrown.
    await expect(second.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' })
    await second.query('ROLLBACK')
    expect((await second.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }])
    await first.query('ROLLBACK')
  })

  it('leaves no lock behind after a refusal and a rollback', async () => {
    await begin(first, second)
    await lockInTransaction(queryOf(first), 'order:1', { lockTimeoutMs: longMs })
    await lockInTransaction(queryOf(second), 'order:2', { lockTimeoutMs: longMs })
    await failureOf(lockInTransaction(queryOf(second), 'order:1', { lockTimeoutMs: 20 }))
    await second.query('ROLLBACK')
    await lockInTransaction(queryOf(first), 'order:2', { lockTimeoutMs: 1_000 })
    await first.query('ROLLBACK')
    const { rows } = await second.query(`SELECT count(*)::int AS locks FROM pg_locks WHERE locktype = 'advisory'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
    expect(rows).toEqual([{ locks: 0 }])
  })

  it('is free when the connection of its holder is lost', async () => {
    await begin(first, second)
    await lockInTransaction(queryOf(first), 'order:1', { lockTimeoutMs: longMs })
    first.on('error', () => {})
    const [{ pid }] = (await first.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows as [{ pid: number }]
    await second.query('SELECT pg_terminate_backend($1)', [pid])
    await lockInTransaction(queryOf(second), 'order:1', { lockTimeoutMs: longMs })
    await second.query('ROLLBACK')
  })

  it('does not keep another name waiting', async () => {
    await begin(first, second)
    await lockInTransaction(queryOf(first), 'order:1', { lockTimeoutMs: longMs })
    await lockInTransaction(queryOf(second), 'order:2', { lockTimeoutMs: 1_000 })
    await first.query('ROLLBACK')
    await second.query('ROLLBACK')
  })

  it('has keys of 64 bits: names that share a 32-bit hash are strangers', async () => {
    const { rows } = await first.query<{ a: string; b: string }>(
      `SELECT min(name) AS a, max(name) AS b FROM (SELECT 'order:' || n AS name FROM generate_series(1, 300000) AS n) AS names
       GROUP BY hashtext(name) HAVING count(*) > 1 LIMIT 1`,
    )
    const [pair] = rows
    if (pair === undefined) throw new Error('no two names with the same 32-bit hash were found')
    await begin(first, second)
    await lockInTransaction(queryOf(first), pair.a, { lockTimeoutMs: longMs })
    await lockInTransaction(queryOf(second), pair.b, { lockTimeoutMs: 1_000 })
    await first.query('ROLLBACK')
    await second.query('ROLLBACK')
  })

  it('takes one round trip, and gives Prisma nothing of type void', async () => {
    await first.query('BEGIN')
    const sent: string[] = []
    let columnType = 0
    const counting: Query = async (sql, params) => {
      sent.push(sql)
      const result = await first.query(sql, params)
      columnType = result.fields[0]?.dataTypeID ?? 0
      return result.rows
    }
    await lockInTransaction(counting, 'order:1', { lockTimeoutMs: longMs })
    expect(sent).toHaveLength(1)
    const text = 25
    expect(columnType).toBe(text)
    await first.query('ROLLBACK')
  })

  it('bounds the row locks of the rest of the transaction too', async () => {
    await begin(first, second)
    await first.query('CREATE TABLE IF NOT EXISTS rows_to_lock (id int)')
    await first.query('INSERT INTO rows_to_lock VALUES (1)')
    await first.query('COMMIT')
    await first.query('BEGIN')
    await first.query('SELECT * FROM rows_to_lock FOR UPDATE')
    await lockInTransaction(queryOf(second), 'order:1', { lockTimeoutMs: 50 })
    await expect(second.query('SELECT * FROM rows_to_lock FOR UPDATE')).rejects.toMatchObject({ code: '55P03' })
    await second.query('ROLLBACK')
    await first.query('ROLLBACK')
  })

  it('lets other errors through as they are', async () => {
    const failure = new Error('connection lost')
    expect(await failureOf(lockInTransaction(() => Promise.reject(failure), 'order:1', { lockTimeoutMs: 100 }))).toBe(
      failure,
    )
  })

  it('knows the SQLSTATE inside Prisma’s error', async () => {
    // The shape that Prisma 7 with its pg adapter was seen to throw from $queryRawUnsafe.
    const prismaError = Object.assign(new Error('Raw query failed'), {
      code: 'P2010',
      meta: { driverAdapterError: { cause: { originalCode: '55P03', kind: 'postgres', code: '55P03' } } },
    })
    const failure = await failureOf(
      lockInTransaction(() => Promise.reject(prismaError), 'order:1', { lockTimeoutMs: 100 }),
    )
    expect(failure).toBeInstanceOf(LockTimeout)
    expect(failure).toMatchObject({ cause: prismaError })
  })

  it('counts what it got and what it did not', async () => {
    const registry = new Registry()
    const metrics = createLockMetrics(registry)
    await begin(first, second)
    await lockInTransaction(queryOf(first), 'order:1', { lockTimeoutMs: longMs, metrics })
    await failureOf(lockInTransaction(queryOf(second), 'order:1', { lockTimeoutMs: 20, metrics }))
    const text = await registry.metrics()
    expect(text).toContain('lock_acquire_seconds_count{lock="advisory"} 1')
    expect(text).toContain('lock_timed_out_total{lock="advisory"} 1')
    await second.query('ROLLBACK')
    await first.query('ROLLBACK')
  })

  it.each([
    ['no name', '', 100],
    ['an overlong name', 'x'.repeat(257), 100],
    ['no bound: 0 means for ever to PostgreSQL', 'order:1', 0],
    ['a negative bound', 'order:1', -1],
    ['a fraction', 'order:1', 1.5],
    ['a bound over the bound', 'order:1', 60_001],
  ])('refuses %s before it asks', async (_what, name, lockTimeoutMs) => {
    const asked = createLatch('the query was sent')
    const query = async () => asked.open()
    expect(await failureOf(lockInTransaction(query, name, { lockTimeoutMs }))).toBeInstanceOf(RangeError)
    expect(asked.isOpen).toBe(false)
  })
})

async function connectPostgres(): Promise<Client> {
  const client = new Client({ connectionString: database.url, application_name: 'advisory-lock-test' })
  await client.connect()
  return client
}

async function begin(...clients: Client[]): Promise<void> {
  for (const client of clients) await client.query('BEGIN')
}

function queryOf(client: Client): Query {
  return async (sql, params) => (await client.query(sql, params)).rows
}

async function isWaiting(client: Client): Promise<boolean> {
  const watcher = await connectPostgres()
  try {
    const { rows } = await watcher.query(
      `SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock' AND wait_event = 'advisory'`,
      [Reflect.get(client, 'processID')],
    )
    return rows.length === 1
  } finally {
    await watcher.end()
  }
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}
