import type { RollBack, Tx } from '@seatbelt/database'
import { decideToPay, inProgressRetryAfterSeconds, type Payment } from '@seatbelt/domain'
import {
  type Call,
  type ClaimedPayment,
  type Effectful,
  guardEffect,
  type OwnLease,
  orderLockName,
} from '@seatbelt/safety'
import { findOrderToDecide } from './find-order-to-decide.ts'
import type { Result } from './operations.ts'
import { type PaymentDeps, startOwnLease, wantedMs } from './payment-deps.ts'
import { resumePayment } from './resume-payment.ts'
import { settlePayment } from './settle-payment.ts'

/**
 * Takes an order's money, once, whatever is repeated, delayed, killed or lost.
 *
 * Guarantees: an order is charged at most once over all keys and processes; a caller who hears an outcome hears the one
 * that is recorded. `unsettled` means that the outcome is being found out: the same key brings it later.
 */
export function payOrder(deps: PaymentDeps, call: Call, request: PayRequest): Promise<Result> {
  const { layers } = deps
  return guardEffect(layers, call, {
    resource: orderLockName({ accountId: call.accountId, orderId: request.orderId }),
    contended: inProgress(request),
    claim: (tx, rollBack) => claim(deps, tx, call, request, rollBack),
    effect: ({ claimed, lease }) => layers.gatewayIntent(claimed, lease),
    settle: (tx, { payment, claimed }, evidence) => settlePayment(deps, tx, { payment, claimed, evidence }),
    unsettled: ({ payment }) => payment,
    resume: (paymentId) => resumePayment(deps, paymentId),
  })
}

interface PayRequest {
  readonly orderId: string
  readonly paymentMethod: string
}

interface ClaimedByRequest {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly lease: OwnLease
}

/** Read, decide, compare-and-set, insert the intent once, bind the key to it. All of it or nothing is committed. */
async function claim(
  deps: PaymentDeps,
  tx: Tx,
  call: Call,
  request: PayRequest,
  rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>,
): ReturnType<Effectful<ClaimedByRequest, never, Payment>['claim']> {
  const { compareAndSet, insertOnce, idempotencyKey } = deps.layers
  const { accountId } = call
  const { orderId, paymentMethod } = request
  const lease = startOwnLease(deps.policy)

  const found = await findOrderToDecide(tx, accountId, orderId)
  if (!found) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
  const decision = decideToPay(found.order, found.live)
  if (decision.code !== 'pay') return { kind: 'refused', refusal: decision }

  // Under the lock only a writer that does not take it can have been faster; the row itself says so.
  if (!(await compareAndSet.order(tx, found.order, 'processing')))
    return { kind: 'refused', refusal: inProgress(request) }

  const id = deps.newId()
  const { amountMinor, currency } = found.order
  const intentParameters = { amountMinor, currency, paymentMethod, metadata: { paymentId: id, orderId, accountId } }
  const intent = { id, accountId, orderId, amountMinor, currency, paymentMethod, intentParameters }
  const claimed = { event: 'claimed', by: deps.by, gatewayRequestId: null }
  const inserted = await insertOnce.payment(tx, { ...intent, leaseMs: deps.policy.leaseMs, wantedMs }, claimed)
  if (!inserted) return rollBack({ kind: 'contended' })
  if (!(await idempotencyKey.bindToIntent(tx, call, id))) return rollBack({ kind: 'key-taken' })

  const payment: Payment = {
    ...{ id, accountId, orderId, amountMinor, currency, paymentMethod, createdAt: inserted.createdAt },
    ...{ state: 'processing', declineCode: null, gatewayIntentId: null, settledAt: null },
  }
  return { kind: 'claimed', claimed: { payment, claimed: firstGeneration(id, intentParameters), lease } }
}

function firstGeneration(id: string, intentParameters: ClaimedPayment['intentParameters']): ClaimedPayment {
  const attempts = { create: 1, confirm: 1, cancel: 1 }
  return { id, generation: 1, gatewayIntentId: null, intentParameters, attempts, declineCode: null, wanted: true }
}

function inProgress({ orderId }: PayRequest) {
  return { code: 'payment-in-progress', orderId, retryAfterSeconds: inProgressRetryAfterSeconds } as const
}
