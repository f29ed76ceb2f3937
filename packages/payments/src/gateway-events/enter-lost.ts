import { sql, type Tx } from '@seatbelt/database'
import { type GatewayIntent, type GatewayRefund, type RequestLogEntry, readRefundOutcome } from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import { adoptIntent, findPaymentNamed, isAdoptable, lockSubscriptionOf, moneyTaken } from '../payment/adopt-intent.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { adoptRefund } from '../refund/adopt-refund.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { leasedPayments, requestRecovery } from '../shared/leased-work.ts'
import { keyKnownUntil, recordOrphan } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import type { GatewayEvent } from './gateway-event.ts'

/** Money of ours, by what we wrote on it, that our books do not have. */
export type Lost =
  | { readonly kind: 'payment'; readonly name: string; readonly named: NamedOrder; readonly shown: GatewayIntent }
  | { readonly kind: 'refund'; readonly name: string; readonly named: NamedOrder; readonly shown: GatewayRefund }

interface NamedOrder {
  readonly accountId: string
  readonly orderId: string
}

/** Null: it is not ours, or no money has moved. A retry still meets an intent that took nothing. */
export function readLost({ subject }: GatewayEvent): Lost | null {
  if (subject.kind !== 'intent' && subject.kind !== 'refund') return null
  const { accountId, orderId, paymentId, refundId } = subject.named
  if (accountId === null || orderId === null || subject.shown === null) return null
  const named = { accountId, orderId }
  if (subject.kind === 'intent') {
    const hasMoney = subject.shown.status === 'succeeded' && subject.shown.receivedMinor > 0
    return paymentId !== null && hasMoney ? { kind: 'payment', name: paymentId, named, shown: subject.shown } : null
  }
  const stands = readRefundOutcome(subject.shown).state !== 'failed'
  return refundId !== null && stands ? { kind: 'refund', name: refundId, named, shown: subject.shown } : null
}

export interface Entered {
  /** `met`: a payment or refund of this name is there by now, and recovery looks. */
  readonly kind: 'adopted' | 'met' | 'orphan'
  readonly subject: { readonly kind: 'payment' | 'refund'; readonly row: { id: string; accountId: string } } | null
}

/**
 * Under the order's lock: enters it into the books, if they are as if its commits had been lost. Otherwise it is an
 * orphan.
 */
export async function enterLost(
  deps: PaymentDeps,
  tx: Tx,
  lost: Lost,
  orderId: string | null,
  requestLog: readonly RequestLogEntry[],
): Promise<Entered> {
  const entered =
    orderId === null
      ? null
      : lost.kind === 'payment'
        ? await enterPayment(deps, tx, lost, orderId, requestLog)
        : await enterRefund(deps, tx, lost, requestLog)
  if (entered) return entered
  const { kind, name, named, shown } = lost
  await recordOrphan(deps, tx, {
    kind,
    accountId: named.accountId,
    orderId,
    orderReference: named.orderId,
    gatewayKey: name,
    gatewayIntentId: lost.kind === 'payment' ? lost.shown.id : lost.shown.intentId,
    gatewayRefundId: lost.kind === 'refund' ? lost.shown.id : null,
    amountMinor: shown.amountMinor,
    currency: shown.currency,
    keyKnownUntil: keyKnownUntil(shown.createdAt),
    seen: shown.status,
    why: orderId === null ? 'its order is not there' : 'its order does not wait for it',
  })
  return { kind: 'orphan', subject: null }
}

type LostPayment = Extract<Lost, { kind: 'payment' }>

async function enterPayment(
  deps: PaymentDeps,
  tx: Tx,
  { name, named: { accountId }, shown }: LostPayment,
  orderId: string,
  requestLog: readonly RequestLogEntry[],
): Promise<Entered | null> {
  const repeated = await findPaymentNamed(tx, orderId, name)
  if (repeated) {
    if (repeated.settledAt === null) requestRecovery(tx, leasedPayments, repeated.id)
    return { kind: 'met', subject: { kind: 'payment', row: repeated } }
  }
  // As all transactions that decide about an invoice's order.
  await tx.read(lockSubscriptionOf(orderId))
  const found = await readOrderToDecide(deps, tx, accountId, orderId)
  const taken = moneyTaken(shown)
  if (!found || !taken || shown.chargeId === null || !isAdoptable(found, taken, name)) return null
  const owned = adoptIntent(deps, tx, found, { gatewayKey: name, intentId: shown.id })
  const { chargeId: gatewayChargeId, receivedMinor: capturedMinor } = shown
  const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
  const evidence = { kind: 'outcome', fenced: true, outcome, intentId: shown.id, requestLog } as const
  await settlePayment(deps, tx, owned, { evidence, nextLease: null })
  return { kind: 'adopted', subject: { kind: 'payment', row: owned.payment } }
}

type LostRefund = Extract<Lost, { kind: 'refund' }>

async function enterRefund(
  deps: PaymentDeps,
  tx: Tx,
  { name, named: { accountId }, shown }: LostRefund,
  requestLog: readonly RequestLogEntry[],
): Promise<Entered | null> {
  const [payment] = await tx.read<{ id: string; currency: string }>(sql`
    SELECT id, currency FROM payments
     WHERE gateway_intent_id = ${shown.intentId} AND account_id = ${accountId}::uuid FOR NO KEY UPDATE`)
  if (!payment || payment.currency !== shown.currency) return null
  const [repeated] = await tx.read<{ id: string; accountId: string }>(sql`
    SELECT id, account_id FROM refunds WHERE payment_id = ${payment.id}::uuid AND gateway_key = ${name}`)
  if (repeated) return { kind: 'met', subject: { kind: 'refund', row: repeated } }
  const refund = { accountId, paymentId: payment.id, amountMinor: shown.amountMinor, reason: null }
  const owned = await adoptRefund(deps, tx, refund, { id: deps.runtime.newId(), gatewayKey: name })
  if (!owned) return null
  const outcome = readRefundOutcome(shown)
  await settleRefund(deps, tx, owned, { kind: 'outcome', outcome, requestLog, elsewhere: [] })
  return { kind: 'adopted', subject: { kind: 'refund', row: owned.refund } }
}
