import { type Lock, type LockMetrics, withLock } from '@seatbelt/locks'
import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleWhenResult } from 'cockatiel'
import type { Contended } from './result.ts'

/**
 * Layer 2: the Redis lock around the whole operation.
 *
 * Guarantees: while Redis works, one operation at a time on one resource, and its contenders leave after one round trip
 * instead of costing a transaction. When Redis is down, slow or flushed, operations go on without it: within the lock's
 * command budget at first, and without asking at all while the circuit is open.
 * Does not guarantee: exclusion. A lock that was lost, expired or failed over lets a second operation in; each such
 * case is counted, none ends the work. Truth is in the layers below.
 * Fails with: `contended` as a value.
 * Source: Redis's documentation, "Distributed Locks with Redis"; M. Nygard, "Release It!", chapter "Circuit Breaker".
 */
export type RedisLockLayer = <T>(resource: string, work: () => Promise<T>) => Promise<T | Contended>

export interface RedisLockLayerOptions {
  readonly lock: Lock
  /** How long the lock outlives a process that was killed. Renewed while the work goes on. */
  readonly ttlMs: number
  readonly metrics: LockMetrics
}

/** So many failures in a row are no coincidence: each of them has cost its caller the lock's command budget. */
const failuresToOpen = 5
/** How long nobody asks a Redis that does not answer. One request in this time pays for looking whether it is back. */
const openMs = 2_000

export function createRedisLockLayer({ lock, ttlMs, metrics }: RedisLockLayerOptions): RedisLockLayer {
  const circuit = circuitBreaker(handleWhenResult(isUnavailable), {
    halfOpenAfter: openMs,
    breaker: new ConsecutiveBreaker(failuresToOpen),
  })
  const throughCircuit: Lock = {
    strategy: lock.strategy,
    acquire: (resource, options) =>
      circuit
        .execute(() => lock.acquire(resource, options))
        .catch((error: unknown) => {
          if (error instanceof BrokenCircuitError) return { acquired: false, reason: 'unavailable' }
          throw error
        }),
  }
  return async (resource, work) => {
    const held = await withLock(throughCircuit, { resource, ttlMs }, work)
    if (held.acquired) return held.value
    if (held.reason === 'contended') return { kind: 'contended' }
    metrics.bypassed(lock.strategy)
    return work()
  }
}

function isUnavailable(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'reason' in result && result.reason === 'unavailable'
}
