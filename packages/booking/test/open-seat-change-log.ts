import { redisLockClientOptions } from '@seatbelt/locks'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { createSeatChangeLog } from '../src/live/seat-change-log.ts'

/** A replica's log, with a connection of its own, which is closed by the last of `closers`. */
export async function openSeatChangeLog(redisUrl: string, closers: (() => Promise<unknown>)[]) {
  const redis = new Redis(redisUrl, { ...redisLockClientOptions, lazyConnect: true })
  redis.on('error', () => undefined)
  await redis.connect()
  const registry = new Registry()
  const log = createSeatChangeLog({ redis, registry })
  closers.push(async () => {
    await log.close()
    redis.disconnect()
  })
  const dropped = async () => {
    const { values } = (await registry.getSingleMetric('seat_changes_told_total')?.get()) ?? { values: [] }
    return values.find(({ labels }) => labels.result === 'dropped')?.value ?? 0
  }
  return { log, redis, dropped }
}
