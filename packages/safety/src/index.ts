export { type AdvisoryLockLayer, createAdvisoryLockLayer } from './advisory-lock.ts'
export {
  type Claimed,
  type CompareAndSet,
  compareAndSet,
  type GatewayRequest,
  type Settled,
} from './compare-and-set.ts'
export type { Gateway, GatewayAnswer, GatewayIntent, IntentParameters, UnknownReason } from './gateway.ts'
export {
  type ClaimedPayment,
  createGatewayIntentLayer,
  type Evidence,
  type GatewayIntentLayer,
  maxGatewayRequests,
  type OwnLease,
  type TrailEntry,
} from './gateway-intent.ts'
export {
  type Effectful,
  type Guarded,
  guardEffect,
  guardSettle,
  guardTransaction,
  type KeyTaken,
  type Layers,
  orderLockName,
} from './guard.ts'
export {
  type Call,
  createIdempotencyKeyLayer,
  type IdempotencyKeyLayer,
  type RecordedAnswer,
} from './idempotency-key.ts'
export { type InsertOnce, insertOnce, type NewPayment, type NewTransfer } from './insert-once.ts'
export { createRedisLockLayer, type RedisLockLayer } from './redis-lock.ts'
