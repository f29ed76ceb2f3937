import { redisLockClientOptions } from '@seatbelt/locks'
import { Redis } from 'ioredis'

/** A client as production makes it, connected; the same for all strategies. */
export async function connectRedis(url: string): Promise<Redis> {
  const client = new Redis(url, { ...redisLockClientOptions, lazyConnect: true })
  // Some of the measurements end connections; what then fails is told by the command's own promise.
  client.on('error', () => undefined)
  await client.connect()
  return client
}
