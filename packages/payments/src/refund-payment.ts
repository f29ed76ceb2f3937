import type { RollBack, Tx } from '@seatbelt/database'
import { decideToRefund, type Refund } from '@seatbelt/domain'
import { type Call, type ClaimedRefund, type Effectful, guardEffect, type OwnLease } from '@seatbelt/safety'
import { atOrderOfPayment } from './at-order.ts'
import type { NewRefundRequest, RefundResult } from './operations.ts'
import { type PaymentDeps, startOwnLease } from './payment-deps.ts'
import { resumeRefund } from './resume.ts'
import { toPayment } from './rows.ts'
import { settleRefund } from './settle-refund.ts'
import { toClaimedRefund } from './to-claimed-refund.ts'

/**
 * Gives back what a payment took, or a part of it, once per key.
 *
 * Guarantees: all refunds of a payment together never exceed it, whatever comes at the same time, those under way counted as
 * given; a caller who hears an outcome hears the one that is recorded. A refund that the bank takes its time for is told as
 * pending, which is final for the caller's key; the refund itself tells what becomes of it. `unsettled` means as for
 * `payOrder`. What `gateway-refund.ts` does not guarantee is not guaranteed here.
 */
export function refundPayment(deps: PaymentDeps, call: Call, request: NewRefundRequest): Promise<RefundResult> {
  const { layers } = deps
  return guardEffect(layers, call, {
    meetAt: () => atOrderOfPayment(deps, call, request.paymentId),
    claim: (tx, rollBack) => claim(deps, tx, { call, request, rollBack }),
    effect: ({ claimed, lease }) => layers.gatewayRefund(claimed, lease),
    settle: (tx, { refund, claimed }, evidence) => settleRefund(deps, tx, { refund, claimed, evidence }),
    unsettled: ({ refund }) => refund,
    resume: (intent) => resumeRefund(deps, intent),
  })
}

interface ClaimedByRequest {
  readonly refund: Refund
  readonly claimed: ClaimedRefund
  readonly lease: OwnLease
}

interface Claim {
  readonly call: Call
  readonly request: NewRefundRequest
  readonly rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>
}

/** Read, decide, reserve the amount, insert the intent once, bind the key to it. All of it or nothing is committed. */
async function claim(
  { layers, policy, newId, by }: PaymentDeps,
  tx: Tx,
  { call, request: { paymentId, amountMinor: askedMinor, reason }, rollBack }: Claim,
): ReturnType<Effectful<ClaimedByRequest, never, Refund>['claim']> {
  const lease = startOwnLease(policy)
  const row = await tx.payment.findUniqueOrThrow({
    where: { accountId_id: { accountId: call.accountId, id: paymentId } },
  })
  const decision = decideToRefund(row, askedMinor, await countAtGateway(tx, paymentId))
  if (decision.code !== 'refund') return { kind: 'refused', refusal: decision }

  const { amountMinor } = decision
  // Under the lock only a writer that does not take it can have been faster; the row itself says so.
  if (!(await layers.compareAndSet.reserveForRefund(tx, paymentId, amountMinor))) return rollBack({ kind: 'contended' })

  const { accountId, orderId, currency } = toPayment(row)
  const intent = { id: newId(), accountId, orderId, paymentId, amountMinor, currency, reason }
  const atGateway = { ...takenBy(row), gatewayRefundId: null, refundAttempt: 1, generation: 1 }
  const line = { event: 'claimed', by, gatewayRequestId: null }
  const inserted = await layers.insertOnce.refund(tx, { ...intent, ...atGateway, leaseMs: policy.leaseMs }, line)
  if (!inserted) return rollBack({ kind: 'contended' })
  if (!(await layers.idempotencyKey.bindToIntent(tx, call, { step: 'refund', refundId: intent.id })))
    return rollBack({ kind: 'key-taken' })

  const refund: Refund = {
    ...{ ...intent, createdAt: inserted.createdAt, origin: 'merchant', state: 'processing' },
    ...{ failureCode: null, settledAt: null, reversedAt: null },
  }
  const claimed = toClaimedRefund(refund, atGateway, { isFirstOwner: true, keyIsRemembered: true })
  return { kind: 'claimed', claimed: { refund, claimed, lease } }
}

/** How many of a payment's refunds the gateway may list: all but those that failed before there was one. */
function countAtGateway(tx: Tx, paymentId: string): Promise<number> {
  return tx.refund.count({ where: { paymentId, NOT: { state: 'failed', gatewayRefundId: null } } })
}

interface MoneyAtGateway {
  readonly gatewayIntentId: string
  readonly gatewayChargeId: string
}

/** The database holds that a payment which succeeded names them. */
function takenBy({
  id,
  gatewayIntentId,
  gatewayChargeId,
}: { id: string } & NullableOf<MoneyAtGateway>): MoneyAtGateway {
  if (gatewayIntentId === null || gatewayChargeId === null) throw new Error(`payment ${id} succeeded without evidence`)
  return { gatewayIntentId, gatewayChargeId }
}

type NullableOf<T> = { readonly [Name in keyof T]: T[Name] | null }
