import { sql, type Tx } from '@seatbelt/database'
import { type Call, inProgressRetryAfterSeconds, type Order, type OrderPurpose } from '@seatbelt/domain'
import { guardTransaction, idWithReference } from '@seatbelt/safety'
import { readClock } from '../shared/clock.ts'
import { readCreationReference } from '../shared/creation-reference.ts'
import type { NewOrder, Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/**
 * Creates an order, once per key.
 *
 * Nothing exists yet that two requests could meet at, so no lock is taken: of two with one key, the primary key of
 * `idempotency_keys` lets one commit, and the other finds its answer.
 */
export function createOrder(deps: PaymentDeps, call: Call, request: NewOrder): Promise<Result> {
  return guardTransaction(deps.layers, call, {
    lockOn: {
      resource: null,
      contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
    },
    work: async (tx) => {
      const [now, gatewayReference] = await Promise.all([readClock(tx), readCreationReference(deps, tx, call, 'order')])
      const { accountId } = call
      const order = writeOrder(deps, tx, { ...request, accountId, purpose: 'merchant', gatewayReference }, now)
      return { kind: 'done', answer: deps.renderings.orderCreated(order) }
    },
  })
}

export interface OrderToWrite extends NewOrder {
  readonly accountId: string
  readonly purpose: OrderPurpose
  readonly gatewayReference: string
  /** Of an order that is written anew because its commit was lost. */
  readonly lostId?: string
}

/** `now`: the database's time, as this transaction has read it. */
export function writeOrder({ runtime }: Pick<PaymentDeps, 'runtime'>, tx: Tx, order: OrderToWrite, now: Date): Order {
  const { accountId, customerId, amountMinor, currency, receiptEmail, purpose, gatewayReference } = order
  const id = idWithReference(order.lostId ?? runtime.newId(), gatewayReference)
  tx.write(sql`
    INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, receipt_email, purpose, gateway_reference,
                        created_at)
    VALUES (${id}::uuid, ${accountId}::uuid, ${customerId}, ${amountMinor}, ${currency}, ${receiptEmail}, ${purpose},
            ${gatewayReference}, ${now}::timestamptz)`)
  return {
    id,
    accountId,
    customerId,
    amountMinor,
    currency,
    receiptEmail,
    purpose,
    state: 'pending',
    version: 0,
    createdAt: now,
  }
}
