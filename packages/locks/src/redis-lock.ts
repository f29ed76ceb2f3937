import { randomUUID } from 'node:crypto'
import { ReplyError } from 'ioredis'
import type { Random } from './backoff.ts'
import { compareAndDelete } from './compare-and-delete.ts'
import { createGiveBack } from './give-back.ts'
import { Heartbeat } from './heartbeat.ts'
import { HeldLease } from './held-lease.ts'
import {
  type AcquireOptions,
  type Acquisition,
  assertResource,
  assertTimes,
  type Lock,
  type ReleaseOutcome,
} from './lock.ts'
import { createGatherer } from './one-write.ts'
import { pollUntilGranted } from './poll.ts'
import { extendScript, type RedisClient, runScript } from './redis-scripts.ts'
import { withinBudget } from './within-budget.ts'

/**
 * Redis lock: one key on one Redis, `SET key token NX PX ttl`.
 *
 * **Guarantees**: at most one holder at a time while that one Redis keeps its data and both clocks tick at about the same
 * rate. Each acquisition has its own token, and release and renewal happen only where the key still carries it: a lock that
 * outlived its holder is never released by it. The lease is renewed while it is held and given up before it can have
 * expired. No call takes longer than its budget, whatever Redis does. A SET whose answer came too late is given back.
 *
 * **Does not guarantee**: anything after Redis was flushed, restarted without its data, or failed over: replication is
 * asynchronous, so the new master may not know the lock, and two holders work at the same time. Nor after a pause of the
 * holder that is longer than the TTL (F1): Redis cannot tell it to stop. So this is efficiency, not truth; truth is the
 * constraint or the version in the database. It is not fair (whoever polls first wins) and not re-entrant. A SET that a cut
 * connection still carried may take effect after its caller was answered; then the key stays for one TTL at most.
 *
 * **Fails with**: a refusal `contended`, `timed-out`, `aborted` or `unavailable`. Throws only a `RangeError` for arguments that
 * could never work, when built or when asked.
 *
 * **Source**: Redis, "Distributed Locks with Redis", section "Correct Implementation with a Single Instance".
 */
export function createRedisLock(options: RedisLockOptions): Lock {
  const { client, commandBudgetMs, keyPrefix = 'lock:', maxHeldMs = defaultMaxHeldMs, random = Math.random } = options
  assertClient(client)
  assertBudget(commandBudgetMs, client)
  const minTtlMs = 3 * commandBudgetMs
  const pauses = { ...pollPauses, random }
  const giveBack = createGiveBack(client, commandBudgetMs)
  const gather = createGatherer(client)

  return {
    strategy: 'redis',
    async acquire(resource, acquireOptions) {
      assertResource(resource)
      assertTimes(acquireOptions, minTtlMs)
      const { ttlMs, signal } = acquireOptions
      const key = keyPrefix + resource
      return await pollUntilGranted(acquireOptions, pauses, () => tryOnce({ key, resource, ttlMs, signal }))
    },
  }

  async function tryOnce({ key, resource, ttlMs, signal }: Try): Promise<Acquisition | 'contended'> {
    if (!isConnected(client))
      return { acquired: false, reason: 'unavailable', cause: new Error('not connected to Redis') }

    const token = randomUUID()
    const sentAtMs = performance.now()
    gather()
    const asked = client.set(key, token, 'PX', ttlMs, 'NX')
    // Made while Redis is at it: then it costs no time.
    const heartbeat = createHeartbeat({ key, resource, token, ttlMs, sentAtMs })
    const answer = await withinBudget(asked, commandBudgetMs, signal)
    if (answer.kind === 'answered' && answer.value === null) return 'contended'

    const usedMs = performance.now() - sentAtMs
    if (answer.kind === 'answered' && usedMs <= ttlMs / 2) {
      heartbeat.start()
      return {
        acquired: true,
        lease: new HeldLease(resource, token, heartbeat, () => release({ key, token, ttlMs }, heartbeat)),
      }
    }
    // An error that Redis itself answered proves that nothing was set. Everything else may have been, or may still be.
    const isProvenUnset = answer.kind === 'failed' && answer.error instanceof ReplyError
    if (!isProvenUnset) void giveBack(key, token, sentAtMs + ttlMs)
    if (answer.kind === 'aborted') return { acquired: false, reason: 'aborted' }
    const cause = answer.kind === 'failed' ? answer.error : new Error(`Redis took longer than ${commandBudgetMs} ms`)
    return { acquired: false, reason: 'unavailable', cause }
  }

  function createHeartbeat({ key, resource, token, ttlMs, sentAtMs }: Asked): Heartbeat {
    return new Heartbeat(resource, { ttlMs, sentAtMs, attemptTimeoutMs: commandBudgetMs, maxHeldMs }, () => {
      gather()
      return runScript(client, extendScript, key, token, ttlMs)
    })
  }

  async function release({ key, token, ttlMs }: Held, heartbeat: Heartbeat): Promise<ReleaseOutcome> {
    const wasLost = heartbeat.isLost()
    gather()
    const asked = compareAndDelete(client, key, token)
    heartbeat.stop()
    const answer = await withinBudget(asked, commandBudgetMs)
    // A renewal that nobody heard of may have lengthened it by up to one TTL.
    if (answer.kind !== 'answered') void giveBack(key, token, heartbeat.deadline() + ttlMs)
    if (wasLost || (answer.kind === 'answered' && !answer.value)) return 'already-lost'
    return answer.kind === 'answered' ? 'released' : 'unknown'
  }
}

export interface RedisLockOptions {
  /** With `redisLockClientOptions`, or the like: see `assertClient`. It stays the caller's to close. */
  readonly client: RedisClient
  /** No single command is waited for longer. A healthy Redis answers in 1 ms; 50 to 200 are usual. */
  readonly commandBudgetMs: number
  /** In front of each resource's name; `lock:` by default. */
  readonly keyPrefix?: string
  /** A lease is not renewed longer than this; 10 minutes by default. */
  readonly maxHeldMs?: number
  readonly random?: Random
}

/**
 * What the client of a lock needs, to be spread into ioredis' options.
 *
 * Nothing waits in a queue while Redis is away, and nothing is sent again on the next connection: a SET that comes to life
 * after its caller has gone would be a lock that nobody holds.
 */
export const redisLockClientOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  /** Commands that were on the wire fail as soon as the connection is lost, not when it is back. */
  maxRetriesPerRequest: 0,
  /** The backstop behind the lock's own budget: after it, ioredis forgets the caller. */
  commandTimeout: 1_000,
  /** A connection that is silent for so long is replaced: commands must not pile up before a Redis that hangs. */
  socketTimeout: 5_000,
  /** A Redis that is back is found within a second. */
  retryStrategy: (tries: number): number => Math.min(50 * 2 ** Math.min(tries, 5), 1_000),
} as const

/** The time for which a lease is renewed: no request of this house takes a tenth of it, so what holds longer hangs. */
const defaultMaxHeldMs = 10 * 60_000
/** A holder of a payment's lock works some 100 ms: polling finds it free within a quarter of that, for some ten commands. */
const pollPauses = { baseMs: 10, maxMs: 50 }

interface Try {
  readonly key: string
  readonly resource: string
  readonly ttlMs: number
  readonly signal: AcquireOptions['signal']
}

interface Held {
  readonly key: string
  readonly token: string
  readonly ttlMs: number
}

interface Asked extends Held {
  readonly resource: string
  readonly sentAtMs: number
}

/** A client that is made lazily is told to connect; this try does not wait for it. */
export function isConnected(client: RedisClient): boolean {
  if (client.status === 'wait') client.connect().catch(() => {})
  return client.status === 'ready'
}

export function assertClient(client: RedisClient): void {
  const { enableOfflineQueue, commandTimeout, autoResendUnfulfilledCommands, maxRetriesPerRequest } = client.options
  const advice = 'make the client with `new Redis(url, { ...redisLockClientOptions })`'
  if (enableOfflineQueue !== false) {
    throw new RangeError(
      `this Redis client queues commands while Redis is away, so its callers hang: set enableOfflineQueue: false, or ${advice}`,
    )
  }
  if (typeof commandTimeout !== 'number' || !(commandTimeout > 0)) {
    throw new RangeError(`this Redis client waits for ever for an answer: set commandTimeout (in ms), or ${advice}`)
  }
  if (autoResendUnfulfilledCommands !== false && maxRetriesPerRequest !== 0) {
    throw new RangeError(
      `this Redis client sends commands again after a reconnect, so that a lock is taken after its caller has gone: set autoResendUnfulfilledCommands: false, or ${advice}`,
    )
  }
}

export function assertBudget(commandBudgetMs: number, { options }: RedisClient): void {
  if (!Number.isInteger(commandBudgetMs) || commandBudgetMs < 1) {
    throw new RangeError(`commandBudgetMs must be a whole number of at least 1; it is ${commandBudgetMs}`)
  }
  if (commandBudgetMs > (options.commandTimeout ?? 0)) {
    throw new RangeError(
      `commandBudgetMs (${commandBudgetMs}) must not be longer than the client's commandTimeout (${options.commandTimeout})`,
    )
  }
}
