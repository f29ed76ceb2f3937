import { inProgressRetryAfterSeconds } from '@seatbelt/domain'
import { type Call, guardTransaction } from '@seatbelt/safety'
import type { NewOrder, Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toOrder } from '../shared/rows.ts'

/**
 * Creates an order, once per key.
 *
 * Nothing exists yet at which two requests could meet, so that no lock is taken: of two with one key, the primary key of
 * `idempotency_keys` lets one commit, and the other finds its answer.
 */
export function createOrder(
  deps: PaymentDeps,
  call: Call,
  { customerId, amountMinor, currency, receiptEmail }: NewOrder,
): Promise<Result> {
  return guardTransaction(deps.layers, call, {
    resource: null,
    contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
    work: async (tx) => {
      const { accountId } = call
      const row = await tx.order.create({
        data: { id: deps.newId(), accountId, customerId, amountMinor, currency, receiptEmail },
      })
      return { kind: 'done', answer: deps.renderings.orderCreated(toOrder(row)) }
    },
  })
}
