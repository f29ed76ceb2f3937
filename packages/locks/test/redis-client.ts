import { type CommonRedisOptions, Redis } from 'ioredis'
import { redisLockClientOptions } from '../src/index.ts'

/** A client as production makes it, connected. Errors of its connection are what these tests provoke: they are not printed. */
export async function connectRedis(url: string, timeouts: Timeouts = {}): Promise<Redis> {
  const client = new Redis(url, { ...redisLockClientOptions, ...timeouts, lazyConnect: true })
  client.on('error', () => {})
  await client.connect()
  return client
}

type Timeouts = Pick<CommonRedisOptions, 'commandTimeout' | 'socketTimeout'>

/** How often the server has run a command since it started. */
export async function callsOf(client: Redis, command: string): Promise<number> {
  const stats = await client.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

/** A release, by the script or by the command of a server that has one. The first on a connection is by the script. */
export function isRelease({ kind }: { readonly kind: string }): boolean {
  return kind === 'EVALSHA' || kind === 'DELEX' || kind === 'DELIFEQ'
}
