import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'

/** What these patterns need of an ioredis client, and what they use where there is one. */
export type RedisClient = Pick<Redis, 'set' | 'eval' | 'evalsha' | 'status' | 'options' | 'connect'> &
  Partial<Pick<Redis, 'call' | 'stream'>>

export interface RedisScript {
  readonly lua: string
  readonly sha: string
}

/** Deletes the key if it still carries our token. A plain DEL would delete the lock of whoever came after us. */
export const releaseScript = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

/** Gives the key another TTL if it still carries our token. It never creates it. */
export const extendScript = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`)

/**
 * Runs a script on one key, by its hash, and says whether the key was ours. A server that does not know it (fresh,
 * restarted, after SCRIPT FLUSH) is sent the whole script, which it then knows. Both commands go straight into the
 * client's pipeline.
 */
export function runScript(
  client: RedisClient,
  { lua, sha }: RedisScript,
  key: string,
  ...args: ReadonlyArray<string | number>
): Promise<boolean> {
  return client.evalsha(sha, 1, key, ...args).then(isOne, (error: unknown) => {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return client.eval(lua, 1, key, ...args).then(isOne)
  })
}

/** What a comparing command answers when the value was the expected one. */
export function isOne(count: unknown): boolean {
  return count === 1
}

function script(lua: string): RedisScript {
  const trimmed = lua.trim()
  return { lua: trimmed, sha: createHash('sha1').update(trimmed).digest('hex') }
}
