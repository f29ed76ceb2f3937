import { createLatch, type FreshDatabase, freshDatabase, raceCopies, startLeakCheck, valuesOf } from '@seatbelt/testing'
import { Pool } from 'pg'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLockMetrics, type OptimisticUpdate, updateOptimistically } from '../src/index.ts'

interface Account {
  readonly version: number
  readonly balance: number
}

const leakCheck = startLeakCheck()
let database: FreshDatabase
let pool: Pool

beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
  pool = new Pool({ connectionString: database.url, max: 8 })
  await pool.query('CREATE TABLE accounts (id int PRIMARY KEY, version int NOT NULL, balance int NOT NULL)')
})
beforeEach(async () => {
  await pool.query('TRUNCATE accounts')
  await pool.query('INSERT INTO accounts VALUES (1, 1, 100), (2, 1, 100)')
})
afterAll(async () => {
  await pool.end()
  await database.close()
  await leakCheck.assertNoLeaks()
})

const noPause = { pauses: { baseMs: 0, maxMs: 0 } }

describe('an optimistic update', () => {
  it('of two who decided on the same version lets one write, and the other decides again on what it wrote', async () => {
    const firstHasRead = createLatch('the first has read')
    const secondHasWritten = createLatch('the second has written')
    const first = updateOptimistically({
      ...withdraw(30),
      async read() {
        const account = await readAccount()
        firstHasRead.open()
        await secondHasWritten.wait()
        return account
      },
    })
    await firstHasRead.wait()
    expect(await updateOptimistically(withdraw(50))).toMatchObject({ kind: 'updated', attempts: 1 })
    secondHasWritten.open()
    expect(await first).toMatchObject({ kind: 'updated', attempts: 2, from: { balance: 50 } })
    expect(await readAccount()).toEqual({ version: 3, balance: 20 })
  })

  it('without the version in the WHERE loses an update: what the version is for', async () => {
    const account = await readAccount()
    await updateOptimistically(withdraw(50))
    await pool.query('UPDATE accounts SET balance = $1 WHERE id = 1', [account.balance - 30])
    expect((await readAccount()).balance).toBe(70)
  })

  it('is not written when the row’s writer was waited for and has changed the version', async () => {
    const other = await pool.connect()
    await other.query('BEGIN')
    await other.query('UPDATE accounts SET version = version + 1, balance = 0 WHERE id = 1')
    const asked = createLatch('the write is on its way')
    const updating = updateOptimistically(
      {
        ...withdraw(30),
        read: () => readAccount(),
        write: (change, expected) => {
          const writing = writeAccount(change, expected)
          asked.open()
          return writing
        },
      },
      { maxAttempts: 1 },
    )
    await asked.wait()
    await other.query('COMMIT')
    other.release()
    expect(await updating).toEqual({ kind: 'contended', attempts: 1 })
    expect(await readAccount()).toEqual({ version: 2, balance: 0 })
  })

  it('gives up by choice, with the reason and what it saw', async () => {
    const result = await updateOptimistically(withdraw(101))
    expect(result).toEqual({ kind: 'gave-up', reason: 'not enough', state: { version: 1, balance: 100 } })
    expect(await readAccount()).toEqual({ version: 1, balance: 100 })
  })

  it('tries as often as it may, with a jittered pause between two tries, and then says that it is contended', async () => {
    const drawn: number[] = []
    const random = () => {
      drawn.push(0)
      return 0
    }
    let tries = 0
    const always: OptimisticUpdate<Account, number, never> = {
      read: readAccount,
      decide: () => ({ change: 0 }),
      write: async () => {
        tries++
        return 0
      },
    }
    expect(await updateOptimistically(always, { maxAttempts: 4, random })).toEqual({ kind: 'contended', attempts: 4 })
    expect(tries).toBe(4)
    expect(drawn).toHaveLength(3)
  })

  it('stops between two tries when it is aborted', async () => {
    const abort = new AbortController()
    let tries = 0
    const update = {
      ...withdraw(1),
      write: async () => {
        tries++
        abort.abort()
        return 0
      },
    }
    // The pause would be far longer than this test.
    const pauses = { baseMs: 60_000, maxMs: 60_000 }
    expect(await updateOptimistically(update, { signal: abort.signal, pauses })).toEqual({ kind: 'aborted' })
    expect(tries).toBe(1)
  })

  it('loses nothing among twelve at once, and each of them knows how it ended', async () => {
    const results = valuesOf(
      await raceCopies(12, () => updateOptimistically(withdraw(1), { ...noPause, maxAttempts: 3 })),
    )
    const updated = results.filter(({ kind }) => kind === 'updated').length
    expect(updated).toBeGreaterThan(0)
    expect(results.filter(({ kind }) => kind === 'contended').length).toBe(12 - updated)
    expect(await readAccount()).toEqual({ version: 1 + updated, balance: 100 - updated })
  })

  it('says that there is no such row', async () => {
    await pool.query('TRUNCATE accounts')
    expect(await updateOptimistically({ ...withdraw(1), read: async () => null })).toEqual({ kind: 'missing' })
  })

  it('does not take a write for done that changed several rows', async () => {
    const careless = {
      ...withdraw(1),
      write: async () => (await pool.query('UPDATE accounts SET version = version + 1')).rowCount ?? 0,
    }
    await expect(updateOptimistically(careless)).rejects.toThrow(/changed 2 rows/)
  })

  it('does not repeat a write whose answer was lost', async () => {
    const lost = new Error('connection terminated')
    let writes = 0
    const update = {
      ...withdraw(1),
      async write() {
        writes++
        throw lost
      },
    }
    await expect(updateOptimistically(update)).rejects.toBe(lost)
    expect(writes).toBe(1)
  })

  it('counts what was written and what was contended', async () => {
    const registry = new Registry()
    const metrics = createLockMetrics(registry)
    await updateOptimistically(withdraw(1), { metrics })
    await updateOptimistically({ ...withdraw(1), write: async () => 0 }, { metrics, maxAttempts: 1 })
    const text = await registry.metrics()
    expect(text).toContain('lock_acquire_seconds_count{lock="optimistic"} 1')
    expect(text).toContain('lock_contended_total{lock="optimistic"} 1')
  })

  it.each([0, -1, 1.5, 101])('refuses %s attempts', async (maxAttempts) => {
    await expect(updateOptimistically(withdraw(1), { maxAttempts })).rejects.toThrow(RangeError)
  })
})

function withdraw(amount: number): OptimisticUpdate<Account, number, string> {
  return {
    read: readAccount,
    decide: ({ balance }) => (balance < amount ? { giveUp: 'not enough' } : { change: balance - amount }),
    write: writeAccount,
  }
}

async function readAccount(): Promise<Account> {
  const { rows } = await pool.query<Account>('SELECT version, balance FROM accounts WHERE id = 1')
  const [account] = rows
  if (account === undefined) throw new Error('the account is gone')
  return account
}

async function writeAccount(balance: number, expectedVersion: number): Promise<number> {
  const written = await pool.query(
    'UPDATE accounts SET balance = $1, version = version + 1 WHERE id = 1 AND version = $2',
    [balance, expectedVersion],
  )
  return written.rowCount ?? 0
}
