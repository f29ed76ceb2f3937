import { randomUUID } from 'node:crypto'
import { createLatch, freshDatabase, startTcpProxy } from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type Database, type Tx } from '../src/index.ts'

let fresh: Awaited<ReturnType<typeof freshDatabase>>
let database: Database
let psql: pg.Client
beforeAll(async () => {
  fresh = await freshDatabase()
  database = createDatabase({ url: fresh.url, poolSize: 4, applicationName: 'transaction-test' })
  psql = new pg.Client({ connectionString: fresh.url })
  await psql.connect()
})
afterAll(async () => {
  await psql?.end()
  await database?.close()
  await fresh?.close()
})

async function accounts(): Promise<string[]> {
  const { rows } = await psql.query<{ name: string }>('SELECT name FROM accounts ORDER BY name')
  return rows.map(({ name }) => name)
}

describe('transaction', () => {
  it('commits what its work wrote, and nothing of work that threw or rolled back', async () => {
    const write = (name: string, end: 'commit' | 'throw' | 'roll back') =>
      database.transaction<string, string>(async (tx, rollBack) => {
        await tx.account.create({ data: { id: randomUUID(), name } })
        if (end === 'throw') throw new Error('no')
        return end === 'roll back' ? rollBack('rolled back') : 'committed'
      })
    expect(await write('a', 'commit')).toBe('committed')
    await expect(write('b', 'throw')).rejects.toThrow('no')
    expect(await write('c', 'roll back')).toBe('rolled back')
    expect(await accounts()).toEqual(['a'])
  })

  it('reads a unique violation the same way from the ORM and from raw SQL', async () => {
    const id = randomUUID()
    await database.client.account.create({ data: { id, name: 'unique' } })
    const expected = { code: 'unique-violation', constraint: 'accounts_pkey' }
    await expect(database.transaction((tx) => tx.account.create({ data: { id, name: 'x' } }))).rejects.toMatchObject(
      expected,
    )
    const raw = database.transaction((tx) => tx.$executeRaw`INSERT INTO accounts (id, name) VALUES (${id}::uuid, 'x')`)
    await expect(raw).rejects.toMatchObject(expected)
  })

  it('says that a connection which broke before COMMIT left nothing, and goes on with another one', async () => {
    const before = await accounts()
    const broken = database.transaction(async (tx) => {
      await tx.account.create({ data: { id: randomUUID(), name: 'never' } })
      const [row] = await tx.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`
      await psql.query('SELECT pg_terminate_backend($1, 2000)', [row?.pid])
      await tx.account.count()
    })
    await expect(broken).rejects.toMatchObject({ code: 'database-unavailable' })
    expect(await accounts()).toEqual(before)
    expect(await database.transaction(async () => 'well again')).toBe('well again')
  })

  it('never lets the next one commit what a server that stood still did not roll back in time', async () => {
    const before = await accounts()
    const { hostname, port } = new URL(fresh.url)
    const proxy = await startTcpProxy({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' })
    // The host of the server was paused: its own clocks, and with them its own bounds, stood still as well.
    const url = new URL(proxy.through(fresh.url))
    const bounds = { query_timeout: '200', statement_timeout: '0', idle_in_transaction_session_timeout: '0' }
    for (const [name, value] of Object.entries(bounds)) url.searchParams.set(name, value)
    const paused = createDatabase({ url: url.href, poolSize: 1, applicationName: 'paused' })
    const create = (tx: Tx, name: string) => tx.account.create({ data: { id: randomUUID(), name } })
    try {
      const isInsert = ({ text }: { text: string }) => text.startsWith('INSERT INTO "public"."accounts"')
      const second = proxy.intercept({ matches: isInsert, nth: 2, at: 'request' })
      const broken = paused.transaction(async (tx) => {
        await create(tx, 'never')
        await create(tx, 'never')
      })
      await expect(broken).rejects.toMatchObject({ code: 'database-unavailable' })
      await second.reached()
      second.pass()
      await paused.transaction((tx) => create(tx, 'next'))
      expect(await accounts()).toEqual([...before, 'next'].sort())
    } finally {
      await paused.close()
      await proxy.close()
    }
  })

  it('tries a victim of a deadlock again, and both commit', async () => {
    const [a, b] = [randomUUID(), randomUUID()]
    await database.client.account.createMany({ data: [a, b].map((id) => ({ id, name: 'deadlock' })) })
    const [firstHolds, secondHolds] = [createLatch('first'), createLatch('second')]
    let runs = 0
    const rename = (ids: string[], mine: typeof firstHolds, others: typeof firstHolds) =>
      database.transaction(async (tx) => {
        runs++
        await tx.account.update({ where: { id: ids[0] as string }, data: { name: 'held' } })
        mine.open()
        await others.wait()
        await tx.account.update({ where: { id: ids[1] as string }, data: { name: 'done' } })
      })
    await Promise.all([rename([a, b], firstHolds, secondHolds), rename([b, a], secondHolds, firstHolds)])
    expect(runs).toBe(3)
  })

  it('bounds the wait for a row that somebody holds', async () => {
    const id = randomUUID()
    await database.client.account.create({ data: { id, name: 'held' } })
    await psql.query('BEGIN')
    await psql.query('SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE', [id])
    const waiting = database.transaction((tx) => tx.account.update({ where: { id }, data: { name: 'x' } }))
    await expect(waiting).rejects.toMatchObject({ code: 'lock-not-available' })
    await psql.query('ROLLBACK')
  })

  it('bounds the wait for a connection, and says that nothing happened', async () => {
    const release = createLatch('connections are given back', { boundMs: 10_000 })
    const holders = Array.from({ length: 4 }, () => database.transaction(() => release.wait()))
    await expect(database.transaction(async () => 'never')).rejects.toMatchObject({ code: 'database-unavailable' })
    release.open()
    await Promise.all(holders)
  })
})

describe('isReady', () => {
  it('is false, and no error, when there is no database', async () => {
    const nowhere = createDatabase({ url: 'postgresql://x@127.0.0.1:1/x', poolSize: 1, applicationName: 'nowhere' })
    expect(await nowhere.isReady()).toBe(false)
    expect(await database.isReady()).toBe(true)
    await nowhere.close()
  })
})
