export { type AdvisoryLockLayer, createAdvisoryLockLayer } from './advisory-lock.ts'
export {
  type Claimed,
  type CompareAndSet,
  compareAndSet,
  type FinalOutcome,
  type FinalRefundOutcome,
  type GatewayRequest,
  type Settled,
  type SubscriptionChange,
} from './compare-and-set.ts'
export type {
  Gateway,
  GatewayAnswer,
  GatewayCharge,
  GatewayIntent,
  GatewayLists,
  GatewayPage,
  GatewayRefund,
  IntentGateway,
  IntentParameters,
  ListAnswer,
  NoAnswer,
  RefundAnswer,
  RefundGateway,
  RefundParameters,
  UnknownReason,
} from './gateway-protocol/gateway.ts'
export {
  type Admit,
  createGatewayGate,
  type GatewayAdmission,
  type GatewayGate,
  type GatewayGateMetrics,
  type GatewayGateOptions,
  type NotAdmitted,
} from './gateway-protocol/gateway-gate.ts'
export {
  type ClaimedPayment,
  createGatewayIntentLayer,
  createMissingIntentLayer,
  type Evidence,
  type GatewayIntentLayer,
  maxGatewayRequests,
  type OwnLease,
  readFinalEvidence,
  type TrailEntry,
} from './gateway-protocol/gateway-intent.ts'
export {
  type ClaimedRefund,
  createGatewayRefundLayer,
  createMissingRefundLayer,
  type GatewayRefundLayer,
  isThisRefund,
  keyRememberedHours,
  maxRefundRequests,
  type RefundEvidence,
  readRefundOutcome,
} from './gateway-protocol/gateway-refund.ts'
export {
  type Answered,
  type CheapDoor,
  type Continues,
  type Effectful,
  effectSettle,
  type Guarded,
  guardEffect,
  guardOwnEffect,
  guardSettle,
  guardTransaction,
  type KeyTaken,
  type Layers,
  type MeetingPoint,
  orderLockName,
  type Refused,
} from './guard.ts'
export {
  type Call,
  createIdempotencyKeyLayer,
  type IdempotencyKeyLayer,
  type Intent,
  type RecordedAnswer,
} from './idempotency-key.ts'
export {
  type InsertOnce,
  insertOnce,
  type NewInvoice,
  type NewPayment,
  type NewRefund,
  type NewTransfer,
} from './insert-once.ts'
export { createRedisLockLayer, type RedisLockLayer } from './redis-lock.ts'
export { isContention, longestPauseMs, outageMs, throughOutage } from './retry-while-unavailable.ts'
export {
  createSeatHintLayer,
  type SeatHintLayer,
  type SeatHintMetrics,
  type SeatHintOptions,
} from './seat-pre-check.ts'
