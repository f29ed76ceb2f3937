import type { PaymentLayers } from '@seatbelt/payments'
import type { Evidence, Gateway, GatewayIntentLayer, IdempotencyKeyLayer, IntentStore } from '@seatbelt/safety'
import type { LayerName } from './explore-report.ts'
import type { StatementChange } from './statement-rewriter.ts'

/** The layers of a replica, with a pass-through or an unsafe twin for each that is off. */
export function withoutLayers(
  real: PaymentLayers,
  { gateway, store }: { readonly gateway: Gateway; readonly store: IntentStore },
  off: ReadonlySet<LayerName>,
): PaymentLayers {
  return {
    ...real,
    ...(off.has('gateway reference') && { gatewayReference: () => real.runtime.newId() }),
    ...(off.has('idempotency key') && { idempotencyKey: noKeys }),
    ...(off.has('redis lock') && { redisLock: (_, work) => work() }),
    ...(off.has('advisory lock') && { advisoryLock: (_, __, work) => work() }),
    ...(off.has('gateway fence') && { gatewayIntent: withoutFence(gateway, store, real) }),
  }
}

const noKeys: IdempotencyKeyLayer = {
  find: async () => ({ kind: 'unseen' }),
  bind: () => undefined,
  isBound: async () => true,
  rebind: () => undefined,
  recordAnswer: () => undefined,
  findAnswer: async () => null,
}

/**
 * The tutorial's charge: creates, confirms with a new key, and takes an answer that does not come for a refusal.
 *
 * The intent is not cancelled before the payment ends, so the money can still be taken.
 */
function withoutFence(gateway: Gateway, store: IntentStore, { runtime }: PaymentLayers): GatewayIntentLayer {
  return async (attempt): Promise<Evidence> => {
    const { intentParameters, goal } = attempt
    if (goal !== 'charge') throw new Error('the tutorial knows no manual capture')
    const created = await gateway.createIntent(intentParameters, runtime.newId())
    if (created.kind !== 'intent') return cancelled
    await store.storeIntent(attempt, created.intent.id, created.requestId)
    const confirmed = await gateway.confirmIntent(created.intent.id, intentParameters, runtime.newId())
    if (confirmed.kind !== 'intent' || confirmed.intent.chargeId === null) return cancelled
    const { chargeId: gatewayChargeId, receivedMinor: capturedMinor } = confirmed.intent
    const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
    return { kind: 'outcome', outcome, fenced: true, intentId: created.intent.id, requestLog: [] }
  }
}

const cancelled: Evidence = {
  ...{ kind: 'outcome', outcome: { state: 'cancelled' }, fenced: true },
  ...{ intentId: null, requestLog: [] },
}

/**
 * The conditions that are a layer, and the statements that have them. They are switched off as they are sent.
 *
 * The parameter stays in the text: PostgreSQL would refuse a value that no text uses.
 */
export const conditions = {
  version: {
    text: /(?<=UPDATE orders\s.*)\bversion = \$\d+/s,
    by: '($& OR true)',
    statements: ["'order-version'"],
  },
  generation: {
    text: /\b(?:payments\.)?generation = \$\d+/,
    by: '($& OR true)',
    statements: [
      'UPDATE payments SET gateway_intent_id',
      'AS is_owned',
      'WITH changed AS ( UPDATE payments SET state = $1::payment_state, leased_until = NULL',
      "WITH changed AS ( UPDATE payments SET state = 'authorized'",
      'WITH changed AS ( UPDATE payments SET state = $1::payment_state, goal',
      'WITH changed AS ( UPDATE payments SET leased_until = NULL',
      'SELECT 1 FROM payments WHERE id = $1::uuid AND generation',
    ],
  },
} as const satisfies Partial<Record<LayerName, StatementChange>>

/** Indexes that are dropped in the template of a database, for layers that are unique constraints. */
export const indexes: Readonly<Partial<Record<LayerName, string>>> = {
  'unique constraint': 'DROP INDEX payments_one_live_per_order',
  'seat claim': 'ALTER TABLE seat_claims DROP CONSTRAINT seat_claims_pkey',
}
