import { Redis } from 'ioredis'
import pg from 'pg'
import type { BenchStack } from './start-bench-stack.ts'

export interface ServerVersions {
  readonly postgres: string | null
  readonly redis: string | null
}

export async function readServerVersions({ stack, redisUrl }: BenchStack): Promise<ServerVersions> {
  const client = new pg.Client({ connectionString: stack.databaseUrl, application_name: 'bench' })
  const redis = new Redis(redisUrl)
  try {
    await client.connect()
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    const version = /^(?:valkey_version|redis_version):(\S+)/m.exec(await redis.info('server'))
    return { postgres: rows[0]?.server_version ?? null, redis: version?.[1] ?? null }
  } finally {
    await client.end()
    redis.disconnect()
  }
}
