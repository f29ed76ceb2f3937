export {
  type AdvisoryLockOptions,
  isLockTimeout,
  LockTimeout,
  lockInTransaction,
  maxLockTimeoutMs,
  type Query,
} from './advisory-lock.ts'
export { type BackoffOptions, backoffMs, pause, type Random } from './backoff.ts'
export { admitFence, drawFence, type FenceQuery, fencedLock, fenceTable, StaleFence } from './fencing.ts'
export { type LeadershipEvent, type LeadershipOptions, lead, type Term } from './leadership.ts'
export {
  type AcquireOptions,
  type Acquisition,
  type FencedLease,
  type Lease,
  LeaseLost,
  type Lock,
  type LockRefusal,
  maxResourceLength,
  maxTtlMs,
  maxWaitMs,
  type RefusalReason,
  type ReleaseOutcome,
} from './lock.ts'
export { acquireMany, ManyLease, type ManyRefusal } from './lock-many.ts'
export { createLockMetrics, type LockMetrics, measureLock } from './lock-metrics.ts'
export {
  type OptimisticOptions,
  type OptimisticOutcome,
  type OptimisticUpdate,
  updateOptimistically,
  type Versioned,
} from './optimistic.ts'
export { createRedisLock, type RedisLockOptions, redisLockClientOptions } from './redis-lock.ts'
export type { RedisClient } from './redis-scripts.ts'
export { createRedlock, type RedlockOptions } from './redlock.ts'
export type { RedlockClient } from './redlock-node.ts'
export { createSessionLock, type PinnedClient, PooledConnection, type SessionLockOptions } from './session-lock.ts'
export { type Bracketed, withLock } from './with-lock.ts'
