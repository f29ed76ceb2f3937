import type { Database } from '@seatbelt/database'
import type { Lock, LockMetrics } from '@seatbelt/locks'
import {
  compareAndSet,
  createAdvisoryLockLayer,
  createGatewayIntentLayer,
  createGatewayRefundLayer,
  createIdempotencyKeyLayer,
  createRedisLockLayer,
  type Gateway,
  type GatewayAdmission,
  insertOnce,
} from '@seatbelt/safety'
import type { PaymentLayers } from './shared/payment-deps.ts'

export interface LayerParts {
  readonly database: Database
  /** As the gate watches it. */
  readonly gateway: Gateway
  readonly gatewayGate: GatewayAdmission
  /** The lock of layer 2, and for how long it outlives a process that was killed. */
  readonly lock: Lock
  readonly lockTtlMs: number
  readonly metrics: LockMetrics
  readonly by: string
  readonly reportFault: PaymentLayers['reportFault']
}

/** All layers, as they run in production. The API and the worker are made of the same ones. */
export function createPaymentLayers(parts: LayerParts): PaymentLayers {
  const { database, gateway, gatewayGate, lock, lockTtlMs, metrics, by, reportFault } = parts
  return {
    idempotencyKey: createIdempotencyKeyLayer(database),
    redisLock: createRedisLockLayer({ lock, ttlMs: lockTtlMs, metrics }),
    gatewayGate,
    transaction: database.transaction,
    advisoryLock: createAdvisoryLockLayer(metrics),
    compareAndSet,
    insertOnce,
    gatewayIntent: createGatewayIntentLayer({ gateway, database, compareAndSet, by }),
    gatewayRefund: createGatewayRefundLayer({ gateway, database, compareAndSet }),
    reportFault,
  }
}
