import { resolve } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startTestServers } from '../../src/stack/test-servers.ts'

const root = resolve(import.meta.dirname, '../../../..')

describe('servers of our own', () => {
  beforeEach(() => {
    // Whatever servers the environment names, this is about those that we start.
    for (const name of ['DATABASE_URL', 'REDIS_URLS']) vi.stubEnv(name, undefined)
  })
  afterEach(() => void vi.unstubAllEnvs())

  it('of two runs from one checkout do not disturb each other, and end with their run', async () => {
    const [one, other] = await Promise.all([startServers(), startServers()])
    const addresses = [one, other].flatMap(({ environment }) => [
      environment.TEST_DATABASE_URL,
      environment.TEST_REDIS_URL,
    ])
    expect(new Set(addresses).size).toBe(4)
    for (const { environment } of [one, other]) await expectBothToAnswer(environment)

    await one.stop()
    await expectBothToAnswer(other.environment)
    await expect(askPostgres(one.environment.TEST_DATABASE_URL, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
    await other.stop()
    await expect(askPostgres(other.environment.TEST_DATABASE_URL, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  })

  it('are the same on every machine: UTC, UTF-8, an order of strings that depends on no locale', async () => {
    const { environment } = await startServers()
    const ask = (statement: string) => askPostgres(environment.TEST_DATABASE_URL, statement)
    expect(await ask('SHOW timezone')).toBe('UTC')
    expect(await ask('SHOW server_encoding')).toBe('UTF8')
    expect(
      await ask("SELECT string_agg(word, '' ORDER BY word) FROM (VALUES ('a'), ('B'), ('ä'), ('C')) AS t (word)"),
    ).toBe('BCaä')
    expect(await ask("SELECT upper('ä')")).toBe('Ä')
  })

  it('let nobody in without the password', async () => {
    const { environment } = await startServers()
    const url = new URL(environment.TEST_DATABASE_URL)
    url.password = 'guessed'
    await expect(askPostgres(url.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
  })
})

async function startServers() {
  const servers = await startTestServers({ root, say: () => undefined })
  onTestFinished(servers.stop)
  return servers
}

type Environment = Awaited<ReturnType<typeof startTestServers>>['environment']

async function expectBothToAnswer({ TEST_DATABASE_URL, TEST_REDIS_URL }: Environment): Promise<void> {
  expect(await askPostgres(TEST_DATABASE_URL, 'SELECT 42')).toBe(42)
  const redis = new Redis(TEST_REDIS_URL, { lazyConnect: true, maxRetriesPerRequest: 0 })
  await redis.connect()
  expect(await redis.ping()).toBe('PONG')
  redis.disconnect()
}

async function askPostgres(url: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    const { rows } = await client.query({ text: statement, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}
