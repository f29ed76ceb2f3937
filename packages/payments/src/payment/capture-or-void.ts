import type { RollBack, Tx } from '@seatbelt/database'
import { decideToEndAuthorization, type Payment } from '@seatbelt/domain'
import {
  type Call,
  type ClaimedPayment,
  type Effectful,
  guardEffect,
  type IntentParameters,
  type OwnLease,
} from '@seatbelt/safety'
import { atOrderOfPayment } from '../order/order-lock.ts'
import { appendHistory } from '../shared/history.ts'
import type { Result } from '../shared/operations.ts'
import { type PaymentDeps, startOwnLease } from '../shared/payment-deps.ts'
import { resumePayment } from '../shared/resume.ts'
import { toPayment } from '../shared/rows.ts'
import { attemptsIn } from './recover-payment.ts'
import { settlePayment } from './settle-payment.ts'

/**
 * Takes the amount that a payment has on hold.
 *
 * Guarantees: of capturing and voiding one happens, and once; a caller who hears an outcome hears the one that is recorded.
 * A hold that the gateway will never capture is given back and told as refused. `unsettled` means as for `payOrder`.
 */
export function capturePayment(deps: PaymentDeps, call: Call, paymentId: string): Promise<Result> {
  return endAuthorization(deps, call, { paymentId, goal: 'capture' })
}

/** Gives back the amount that a payment has on hold; guarantees as for capturing. The order can be paid anew. */
export function voidPayment(deps: PaymentDeps, call: Call, paymentId: string): Promise<Result> {
  return endAuthorization(deps, call, { paymentId, goal: 'void' })
}

interface EndRequest {
  readonly paymentId: string
  readonly goal: 'capture' | 'void'
}

function endAuthorization(deps: PaymentDeps, call: Call, request: EndRequest): Promise<Result> {
  const { layers } = deps
  return guardEffect(layers, call, {
    meetAt: () => atOrderOfPayment(deps, call, request.paymentId),
    claim: (tx, rollBack) => claim(deps, tx, { call, request, rollBack }),
    effect: ({ claimed, lease }) => layers.gatewayIntent(claimed, lease),
    settle: (tx, { payment, claimed }, evidence) => settlePayment(deps, tx, { payment, claimed, evidence }),
    unsettled: ({ payment }) => payment,
    resume: (intent) => resumePayment(deps, intent),
  })
}

interface ClaimedByRequest {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly lease: OwnLease
}

interface Claim {
  readonly call: Call
  readonly request: EndRequest
  readonly rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>
}

async function claim(
  { layers, policy, by }: PaymentDeps,
  tx: Tx,
  { call, request: { paymentId, goal }, rollBack }: Claim,
): ReturnType<Effectful<ClaimedByRequest, never, Payment>['claim']> {
  const lease = startOwnLease(policy)
  const { order, ...row } = await tx.payment.findUniqueOrThrow({
    where: { accountId_id: { accountId: call.accountId, id: paymentId } },
    include: { order: { select: { purpose: true } } },
  })
  if (order.purpose !== 'merchant') return { kind: 'refused', refusal: { code: 'order-managed', orderId: row.orderId } }
  const decision = decideToEndAuthorization(row)
  if (decision.code !== 'end-authorization') return { kind: 'refused', refusal: decision }

  const claimed = await layers.compareAndSet.endAuthorization(tx, row, { goal, leaseMs: policy.leaseMs })
  // Recovery, which gives back what nobody captured in time, does not take the lock.
  if (!claimed) return rollBack({ kind: 'contended' })
  if (!(await layers.idempotencyKey.bindToIntent(tx, call, { step: goal, paymentId })))
    return rollBack({ kind: 'key-taken' })
  await appendHistory(tx, { paymentId, generation: claimed.generation, by }, [{ event: 'claimed', detail: goal }])

  return {
    kind: 'claimed',
    claimed: {
      lease,
      payment: { ...toPayment(row), state: goal === 'capture' ? 'capturing' : 'voiding' },
      claimed: {
        ...claimed,
        ...{ goal, isFirstOwner: true, wanted: true, notedDecline: null },
        gatewayIntentId: row.gatewayIntentId,
        // Written by the first claim from the same type; nobody else writes this column.
        intentParameters: row.intentParameters as unknown as IntentParameters,
        attempts: attemptsIn(row),
      },
    },
  }
}
