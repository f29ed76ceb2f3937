import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Stack } from '../stack/start-stack.ts'

const timeoutMs = 5_000

/** What a run was made with. Null: it did not say. */
export async function readVersions(root: string, stack: Stack, k6: string): Promise<Record<string, string | null>> {
  return {
    seatbelt: orNull(() => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version),
    node: process.versions.node,
    k6: orNull(() => /v(\d[\w.-]*)/.exec(execFileSync(k6, ['version'], { encoding: 'utf8', timeout: timeoutMs }))?.[1]),
    postgres: await readPostgresVersion(stack.databaseUrl).catch(() => null),
    redis: await readRedisVersion(stack.redisUrls[0] ?? '').catch(() => null),
  }
}

function orNull(read: () => string | undefined): string | null {
  try {
    return read() ?? null
  } catch {
    return null
  }
}

async function readPostgresVersion(url: string): Promise<string | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs })
  await client.connect()
  try {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    return rows[0]?.server_version ?? null
  } finally {
    await client.end()
  }
}

async function readRedisVersion(url: string): Promise<string | null> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    retryStrategy: null,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    const about = await redis.info('server')
    return /^(?:valkey_version|redis_version):(\S+)/m.exec(about)?.[1] ?? null
  } finally {
    redis.disconnect()
  }
}
