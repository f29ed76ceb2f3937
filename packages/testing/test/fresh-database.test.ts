import { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { type FreshDatabase, freshDatabase, raceCopies, startTcpProxy, valuesOf } from '../src/index.ts'

const template = 'template0'

describe('a fresh database', () => {
  it('is one’s own, and gone afterwards', async () => {
    const databases = valuesOf(await raceCopies(4, () => freshDatabase({ template })))
    await Promise.all(databases.map(({ url }) => query(url, 'CREATE TABLE mine (id int PRIMARY KEY)')))
    await Promise.all(databases.map((database) => database.close()))
    const { rows } = await onMaintenance('SELECT datname FROM pg_database WHERE datname = ANY($1)', [
      databases.map(({ name }) => name),
    ])
    expect(rows).toEqual([])
  })

  it('reports a connection that was left open, with what it did, and is gone all the same', async () => {
    const database = await freshDatabase({ template, leakGraceMs: 100 })
    const leaked = new Client({ connectionString: database.url, application_name: 'the-one-who-forgot' })
    leaked.on('error', () => {})
    await leaked.connect()
    await leaked.query('BEGIN')
    await leaked.query('SELECT 1 AS last_thing')
    const failure = await failureOf(database.close())
    expect(failure.message).toContain("'the-one-who-forgot', idle in transaction")
    expect(failure.message).toContain('SELECT 1 AS last_thing')
    await expect(exists(database)).resolves.toBe(false)
    await leaked.end().catch(() => {})
  })

  it('waits for a connection that is just closing', async () => {
    const database = await freshDatabase({ template })
    const { hostname, port } = new URL(database.url)
    const proxy = await startTcpProxy({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' })
    const client = new Client({ connectionString: proxy.through(database.url) })
    await client.connect()
    const goodbye = proxy.intercept({ matches: ({ kind }) => kind === 'terminate', at: 'request' })
    const ending = client.end()
    await goodbye.reached()
    const closing = database.close()
    // In this time it has looked and found the connection; the goodbye comes within its grace.
    await new Promise((resolve) => setTimeout(resolve, 300))
    goodbye.pass()
    await ending
    await closing
    await proxy.close()
  })

  it('says what is missing when there is no server', async () => {
    const saved = process.env.TEST_DATABASE_URL
    delete process.env.TEST_DATABASE_URL
    try {
      await expect(freshDatabase({ template })).rejects.toThrow(/TEST_DATABASE_URL is not set/)
    } finally {
      process.env.TEST_DATABASE_URL = saved
    }
  })
})

async function exists({ name }: FreshDatabase): Promise<boolean> {
  return (await onMaintenance('SELECT 1 FROM pg_database WHERE datname = $1', [name])).rows.length > 0
}

function onMaintenance(sql: string, values: unknown[]) {
  return query(process.env.TEST_DATABASE_URL ?? '', sql, values)
}

async function query(url: string, sql: string, values: unknown[] = []) {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(sql, values)
  } finally {
    await client.end()
  }
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('it did not fail')
}
