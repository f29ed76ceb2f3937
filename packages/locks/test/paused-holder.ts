import { Redis } from 'ioredis'
import { Client } from 'pg'
import {
  admitFence,
  createRedisLock,
  drawFence,
  type FenceQuery,
  fencedLock,
  redisLockClientOptions,
} from '../src/index.ts'

/**
 * A process of its own that holds a lock, is paused there by its parent, and then writes without looking at its lease: what
 * every program does whose pause falls between its last look and its write.
 */
const [redisUrl = '', databaseUrl = '', ttlMs = '', isGuarded = ''] = process.argv.slice(2)

const redis = new Redis(redisUrl, { ...redisLockClientOptions, lazyConnect: true })
const database = new Client({ connectionString: databaseUrl })
await Promise.all([redis.connect(), database.connect()])
const query: FenceQuery = async (sql, params) => (await database.query(sql, params)).rows

const lock = createRedisLock({ client: redis, commandBudgetMs: 200 })
const fenced = fencedLock(lock, (resource) => drawFence(query, resource))
const held = await fenced.acquire('order:1', { ttlMs: Number(ttlMs) })
if (!held.acquired) throw new Error(held.reason, { cause: held.cause })
process.send?.('held')

process.once('message', async () => {
  let outcome = 'written'
  await database.query('BEGIN')
  try {
    if (isGuarded === 'guarded') await admitFence(query, 'order:1', held.lease.fence)
    await database.query(`UPDATE notes SET written_by = 'the paused one' WHERE id = 1`)
    await database.query('COMMIT')
  } catch (error) {
    await database.query('ROLLBACK')
    outcome = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
  const released = await held.lease.release()
  redis.disconnect()
  await database.end()
  process.send?.({ outcome, released }, () => process.disconnect())
})
