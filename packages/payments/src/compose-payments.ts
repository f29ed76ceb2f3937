import { setTimeout as pause } from 'node:timers/promises'
import type { Runtime } from '@seatbelt/domain'
import {
  createAdvisoryLockLayer,
  createGatewayIntentLayer,
  createGatewayReferenceLayer,
  createGatewayRefundLayer,
  createIdempotencyKeyLayer,
  createRedisLockLayer,
} from '@seatbelt/safety'
import { v7 as newId } from 'uuid'
import type { Connections } from './open-connections.ts'
import { createIntentStore } from './payment/owned-payment.ts'
import { merchantPurpose } from './payment/pay-order.ts'
import { createRefundStore } from './refund/refund-store.ts'
import type { Renderings } from './shared/operations.ts'
import type { PaymentDeps, PaymentLayers, PaymentPolicy, Purpose } from './shared/payment-deps.ts'
import { invoicePurpose } from './subscription/invoice-purpose.ts'

/** Time, timers, ids and randomness of this process. */
export const processRuntime: Runtime = {
  monotonicMs: performance.now.bind(performance),
  pause,
  newId,
  random: Math.random,
}

/** The parts of the layers. A test or the lab hands in its own. */
export type LayerParts = Pick<
  Connections,
  'database' | 'lock' | 'lockTtlMs' | 'lockMetrics' | 'gateway' | 'gatewayGate' | 'gatewayAccount' | 'installation'
> & { readonly by: string; readonly runtime: Runtime; readonly reportFault: PaymentLayers['reportFault'] }

/** All layers, as they run in production. */
export function composeLayers(parts: LayerParts): PaymentLayers {
  const { database, gateway, gatewayAccount, runtime, by, lock, lockTtlMs: ttlMs, lockMetrics: metrics } = parts
  return {
    idempotencyKey: createIdempotencyKeyLayer(database),
    redisLock: createRedisLockLayer({ lock, ttlMs, metrics }),
    gatewayGate: parts.gatewayGate,
    transaction: database.transaction,
    advisoryLock: createAdvisoryLockLayer(metrics),
    gatewayIntent: createGatewayIntentLayer({
      gateway,
      runtime,
      store: createIntentStore({ database, gatewayAccount, by }),
    }),
    gatewayRefund: createGatewayRefundLayer({ gateway, runtime, store: createRefundStore(database) }),
    gatewayCustomers: gateway,
    gatewayReference: createGatewayReferenceLayer(parts.installation),
    runtime,
    reportFault: parts.reportFault,
  }
}

export interface CompositionOptions extends PaymentPolicy {
  readonly by: string
  readonly renderings: Renderings
  readonly checkoutPurpose: Purpose
  readonly reportFault: PaymentLayers['reportFault']
}

/** The parts of the operations of payments, from connections that are open. */
export function composePayments(
  connections: Connections,
  { by, renderings, checkoutPurpose, reportFault, gatewayDeadlineMs, leaseMs, declineLimits }: CompositionOptions,
): PaymentDeps {
  const { database } = connections
  return {
    database,
    layers: connections.effects.watch(composeLayers({ ...connections, by, runtime: processRuntime, reportFault })),
    renderings,
    purposes: { merchant: merchantPurpose, invoice: invoicePurpose, checkout: checkoutPurpose },
    policy: { gatewayDeadlineMs, leaseMs, declineLimits },
    gatewayAccount: connections.gatewayAccount,
    runtime: processRuntime,
    by,
  }
}
