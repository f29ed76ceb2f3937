export {
  type AdvisoryLockOptions,
  isLockTimeout,
  LockTimeout,
  lockInTransaction,
  maxLockTimeoutMs,
  type Query,
} from './advisory-lock.ts'
export { type BackoffOptions, backoffMs, pause, type Random } from './backoff.ts'
export {
  type AcquireOptions,
  type Acquisition,
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
export { createLockMetrics, type LockMetrics, measureLock } from './lock-metrics.ts'
export { createRedisLock, type RedisLockOptions, redisLockClientOptions } from './redis-lock.ts'
export type { RedisClient } from './redis-scripts.ts'
export { type Bracketed, withLock } from './with-lock.ts'
