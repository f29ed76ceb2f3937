import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import {
  type FreshDatabase,
  freshDatabase,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
} from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedisLock, drawFence, fencedLock, fenceTable } from '../src/index.ts'
import { connectRedis } from './redis-client.ts'

const ttlMs = 800
const leakCheck = startLeakCheck()
let database: FreshDatabase
let pool: Pool
let server: RedisServer
let redis: Redis

beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
  pool = new Pool({ connectionString: database.url })
  await pool.query(fenceTable)
  await pool.query('CREATE TABLE notes (id int PRIMARY KEY, written_by text NOT NULL)')
  server = await startRedisServer()
  redis = await connectRedis(server.url)
})
beforeEach(async () => {
  await redis.flushall()
  await pool.query('TRUNCATE notes, lock_fences')
  await pool.query(`INSERT INTO notes VALUES (1, 'nobody')`)
})
afterAll(async () => {
  redis.disconnect()
  await server.close()
  await pool.end()
  await database.close()
  await leakCheck.assertNoLeaks()
})

describe('two processes, of which one is paused longer than its TTL', () => {
  it('are both let in by the lock alone: the paused one overwrites what came after it', async () => {
    expect(await pausePastTtl('plain')).toEqual({ outcome: 'written', released: 'already-lost' })
    expect(await writer()).toBe('the paused one')
  })

  it('are told apart by the fence: the paused one’s write is refused', async () => {
    expect(await pausePastTtl('guarded')).toEqual({ outcome: 'stale-fence', released: 'already-lost' })
    expect(await writer()).toBe('the second one')
  })
})

/** Resolves with how the paused process's write ended. */
async function pausePastTtl(mode: 'plain' | 'guarded'): Promise<unknown> {
  const script = fileURLToPath(new URL('paused-holder.ts', import.meta.url))
  const paused = fork(script, [server.url, database.url, `${ttlMs}`, mode], { execArgv: ['--import', 'tsx'] })
  try {
    expect(await nextMessage(paused)).toBe('held')
    paused.kill('SIGSTOP')

    // Granted only when the paused one's lock has expired.
    const lock = createRedisLock({ client: redis, commandBudgetMs: 200 })
    const draw = (resource: string) => drawFence(async (sql, params) => (await pool.query(sql, params)).rows, resource)
    const second = await fencedLock(lock, draw).acquire('order:1', { ttlMs: 60_000, waitMs: 20_000 })
    if (!second.acquired) throw new Error(second.reason)
    await pool.query(`UPDATE notes SET written_by = 'the second one' WHERE id = 1`)

    const outcome = nextMessage(paused)
    paused.send('write')
    paused.kill('SIGCONT')
    const told = await outcome
    expect(await second.lease.release()).toBe('released')
    await ended(paused)
    return told
  } finally {
    paused.kill('SIGKILL')
    await ended(paused)
  }
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const gone = new AbortController()
  const onExit = () => gone.abort(new Error('the process ended without a word'))
  child.once('exit', onExit)
  try {
    const [message] = await once(child, 'message', { signal: gone.signal })
    return message
  } finally {
    child.off('exit', onExit)
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

async function writer(): Promise<string> {
  const { rows } = await pool.query<{ written_by: string }>('SELECT written_by FROM notes WHERE id = 1')
  return rows[0]?.written_by ?? 'no row'
}
