import { type Orphan, type Refund as RefundRow, sql, type Tx } from '@seatbelt/database'
import type { OrderPurpose } from '@seatbelt/domain'
import { type Gateway, type GatewayIntent, type GatewayRefund, readRefundOutcome, underLock } from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import { adoptIntent, findPaymentNamed, isAdoptable, lockSubscriptionOf, moneyTaken } from '../payment/adopt-intent.ts'
import { settlePayment, settleUnowned } from '../payment/settle-payment.ts'
import { adoptRefund } from '../refund/adopt-refund.ts'
import { toRefundAttempt } from '../refund/owned-refund.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { depose, leasedRefunds, noOwner } from '../shared/leased-work.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { isOpenOrphan } from '../shared/orphan.ts'
import type { PaymentDeps, Queryable } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'

/** A person reads them one by one. */
const mostOrphans = 100

/** The open orphans of all accounts, the oldest first. */
export function listOrphans({ database }: Queryable): Promise<Orphan[]> {
  return database.query<Orphan>(sql`
    SELECT * FROM orphans WHERE ${isOpenOrphan} ORDER BY found_at, id LIMIT ${mostOrphans}`)
}

export async function countOrphans({ database }: Queryable): Promise<number> {
  const [row] = await database.query<{ count: number }>(sql`
    SELECT count(*)::int AS count FROM orphans WHERE ${isOpenOrphan}`)
  return row?.count ?? 0
}

export type OrphanResolution = 'adopt' | 'refund' | 'dismiss'

/** A person's decision about an orphan. */
export interface OrphanDecision {
  readonly id: string
  readonly resolution: OrphanResolution
  /** The gateway's id of the intent or refund, where the orphan does not know it. */
  readonly gatewayId: string | null
  readonly as: string
  readonly reason: string
}

/** `left`: nothing was changed. */
export type OrphanResolved =
  | { readonly kind: 'not-found' }
  | { readonly kind: 'left'; readonly why: string }
  | { readonly kind: 'resolved'; readonly detail: string }

interface Parts {
  readonly payments: PaymentDeps
  readonly gateway: Gateway
}

/**
 * Resolves an orphan as a person has decided.
 *
 * `adopt` enters what the gateway shows now into the books, if its order or payment waits for it. `refund` returns the
 * money of a payment, or cancels its intent. `dismiss` believes the person that no money is at stake. Each records the
 * name and the reason.
 *
 * Guarantees: an orphan is resolved once, in the commit of what it changes. Nothing is entered that the gateway does
 * not show at this moment. Money is returned under one key, so that a repetition returns it once.
 */
export async function resolveOrphan(parts: Parts, decision: OrphanDecision): Promise<OrphanResolved> {
  const { database } = parts.payments
  const orphan = await database.statement((client) => client.orphan.findUnique({ where: { id: decision.id } }))
  if (!orphan) return { kind: 'not-found' }
  if (orphan.resolvedAt) return left(`it was ${orphan.resolution} before, by ${orphan.resolvedBy}`)
  if (decision.resolution === 'dismiss') return closeUnderLock(parts, orphan, decision, 'dismissed')
  return orphan.kind === 'payment' ? withIntent(parts, orphan, decision) : withRefund(parts, orphan, decision)
}

function left(why: string): OrphanResolved {
  return { kind: 'left', why }
}

async function withIntent(parts: Parts, orphan: Orphan, decision: OrphanDecision): Promise<OrphanResolved> {
  const intentId = orphan.gatewayIntentId ?? decision.gatewayId
  if (intentId === null)
    return left('the gateway did not name its intent: find it there, and give it with --gateway-id')
  const answer = await parts.gateway.retrieveIntent(intentId)
  if (answer.kind !== 'intent') return left('the gateway does not show its intent')
  return decision.resolution === 'adopt'
    ? adoptPayment(parts, orphan, decision, answer.intent)
    : returnMoney(parts, orphan, decision, answer.intent)
}

async function adoptPayment(
  { payments }: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  shown: GatewayIntent,
): Promise<OrphanResolved> {
  const order = await findOrderOf(payments, orphan)
  const taken = moneyTaken(shown)
  if (!taken || shown.status !== 'succeeded' || shown.chargeId === null) return left(`its intent is ${shown.status}`)
  if (!order) return left('its order is not there: create it again with its creation key, or refund the money')
  const { chargeId: gatewayChargeId, receivedMinor: capturedMinor } = shown
  const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
  const found = { outcome, intentId: shown.id, requestLog: operatorLine(payments, decision) }
  return underLock(payments.layers, orderLockName(order), async (tx) => {
    const open = orphan.gatewayKey ? await findPaymentNamed(tx, order.orderId, orphan.gatewayKey) : null
    await tx.read(lockSubscriptionOf(order.orderId))
    if (open && open.settledAt === null && open.gatewayIntentId === null && open.amountMinor === taken.amountMinor)
      await settleUnowned(payments, tx, { ...open, purpose: order.purpose }, found)
    else {
      const waiting = await readOrderToDecide(payments, tx, order.accountId, order.orderId)
      if (!waiting || !isAdoptable(waiting, taken)) return left('its order does not wait for this amount')
      const owned = adoptIntent(payments, tx, waiting, { intentId: shown.id })
      await settlePayment(payments, tx, owned, {
        evidence: { kind: 'outcome', fenced: true, ...found },
        nextLease: null,
      })
    }
    return resolve(tx, orphan, decision, 'adopted', `entered as the payment of order ${order.orderId}`)
  })
}

async function returnMoney(
  parts: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  shown: GatewayIntent,
): Promise<OrphanResolved> {
  const { gateway } = parts
  if (shown.status === 'canceled') return closeUnderLock(parts, orphan, decision, 'refunded')
  if (shown.status !== 'succeeded') {
    const answer = await gateway.cancelIntent(shown.id, `${orphan.id}:cancel:1`, orphan.accountId ?? '')
    const isCancelled = answer.kind === 'intent' && answer.intent.status === 'canceled'
    return isCancelled ? closeUnderLock(parts, orphan, decision, 'refunded') : left('its intent could not be cancelled')
  }
  // Without a refund's name: no refund of ours is meant.
  const metadata = { refundId: '', orderId: orphan.orderReference ?? '', accountId: orphan.accountId ?? '' }
  const asked = { intentId: shown.id, amountMinor: shown.receivedMinor, metadata }
  const answer = await gateway.createRefund(asked, `${orphan.id}:refund:1`)
  if (answer.kind !== 'refund' || readRefundOutcome(answer.refund).state === 'failed')
    return left('the gateway has not refunded it: repeat the command, or see there')
  return closeUnderLock(parts, orphan, decision, 'refunded')
}

async function withRefund(parts: Parts, orphan: Orphan, decision: OrphanDecision): Promise<OrphanResolved> {
  if (decision.resolution === 'refund') return left('a refund cannot be returned: adopt it, or dismiss it')
  const refundId = orphan.gatewayRefundId ?? decision.gatewayId
  if (refundId === null) return left('the gateway did not name it: find it there, and give it with --gateway-id')
  const answer = await parts.gateway.retrieveRefund(refundId)
  if (answer.kind !== 'refund') return left('the gateway does not show it')
  return enterRefund(parts, orphan, decision, answer.refund)
}

async function enterRefund(
  { payments }: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  shown: GatewayRefund,
): Promise<OrphanResolved> {
  const order = await findOrderOf(payments, orphan)
  if (!order) return left('its order is not there')
  return underLock<OrphanResolved, OrphanResolved>(payments.layers, orderLockName(order), async (tx, rollBack) => {
    await failRefundNamed(payments, tx, orphan, order.purpose, decision)
    const [payment] = await tx.read<{ id: string; accountId: string }>(sql`
      SELECT id, account_id FROM payments WHERE gateway_intent_id = ${shown.intentId} FOR NO KEY UPDATE`)
    const { accountId, id: paymentId } = payment ?? { accountId: order.accountId, id: null }
    const refund = { accountId, paymentId, amountMinor: shown.amountMinor, reason: decision.reason }
    const gatewayKey = orphan.gatewayKey ?? orphan.id
    const owned = await adoptRefund(payments, tx, refund, { id: payments.runtime.newId(), gatewayKey })
    if (!owned) return rollBack(left('its payment has not so much left'))
    const requestLog = operatorLine(payments, decision)
    await settleRefund(payments, tx, owned, {
      kind: 'outcome',
      outcome: readRefundOutcome(shown),
      requestLog,
      elsewhere: [],
    })
    return resolve(tx, orphan, decision, 'adopted', `entered as refund ${owned.refund.id}`)
  })
}

/** Ends what waits for the orphan in our books: its payment or refund took or returned no money. */
async function closeUnderLock(
  { payments }: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  resolution: 'refunded' | 'dismissed',
): Promise<OrphanResolved> {
  const order = await findOrderOf(payments, orphan)
  const { accountId, orderId } = order ?? { accountId: orphan.accountId ?? '', orderId: orphan.id }
  return underLock(payments.layers, orderLockName({ accountId, orderId }), async (tx) => {
    if (order && orphan.kind === 'payment') {
      const open = orphan.gatewayKey ? await findPaymentNamed(tx, orderId, orphan.gatewayKey) : null
      const requestLog = operatorLine(payments, decision)
      if (open && open.settledAt === null && open.gatewayIntentId === null)
        await settleUnowned(
          payments,
          tx,
          { ...open, purpose: order.purpose },
          {
            outcome: { state: 'cancelled' },
            intentId: null,
            requestLog,
          },
        )
    }
    if (order && orphan.kind === 'refund') await failRefundNamed(payments, tx, orphan, order.purpose, decision)
    return resolve(tx, orphan, decision, resolution, resolution)
  })
}

/** The refund of ours whose request the gateway refused, because it had another one under the key. */
async function failRefundNamed(
  deps: PaymentDeps,
  tx: Tx,
  orphan: Orphan,
  purpose: OrderPurpose,
  decision: OrphanDecision,
): Promise<void> {
  if (orphan.gatewayRefundId !== null) return
  const [row] = await tx.read<RefundRow & { orderName: string }>(sql`
    SELECT ${leasedRefunds.columns} FROM refunds
     WHERE order_id = ${orphan.orderId}::uuid AND gateway_key = ${orphan.gatewayKey} AND settled_at IS NULL
       AND gateway_refund_id IS NULL FOR NO KEY UPDATE`)
  if (!row) return
  const refund = toRefund(row)
  const attempt = {
    ...toRefundAttempt(refund, row, { ...noOwner, keyIsRemembered: false }),
    generation: depose(tx, leasedRefunds, row),
  }
  const outcome = { state: 'failed', failureCode: 'key-reused', gatewayRefundId: null } as const
  const evidence = { kind: 'outcome', outcome, requestLog: operatorLine(deps, decision), elsewhere: [] } as const
  await settleRefund(deps, tx, { refund, purpose, attempt, attempts: 0, isOverdue: false }, evidence)
}

interface OrderOfOrphan {
  readonly accountId: string
  readonly orderId: string
  readonly purpose: OrderPurpose
}

/** By its id, or by its name where it was lost and created again. */
async function findOrderOf(
  { database }: Queryable,
  { orderId, orderReference }: Orphan,
): Promise<OrderOfOrphan | null> {
  const [order] = await database.query<OrderOfOrphan>(sql`
    SELECT id AS order_id, account_id, purpose FROM orders
     WHERE id = ${orderId}::uuid OR gateway_reference = ${orderReference} LIMIT 1`)
  return order ?? null
}

function operatorLine({ runtime }: PaymentDeps, { resolution, as, reason }: OrphanDecision) {
  const detail = `orphan: ${resolution}, by ${as}: ${reason}`
  return [{ atMs: runtime.monotonicMs(), event: 'operator', gatewayRequestId: null, detail, gatewayMessage: null }]
}

/** Once: of two persons at the same moment, the second changes nothing. */
async function resolve(
  tx: Tx,
  { id }: Orphan,
  { as, reason }: OrphanDecision,
  resolution: 'adopted' | 'refunded' | 'dismissed',
  detail: string,
): Promise<OrphanResolved> {
  const resolved = await tx.writeReturning(sql`
    UPDATE orphans
       SET resolved_at = clock_timestamp(), resolution = ${resolution}, resolved_by = ${as}, resolution_reason = ${reason}
     WHERE id = ${id}::uuid AND resolved_at IS NULL
    RETURNING 1`)
  if (resolved.length === 0) throw new Error('another person has resolved it at this moment')
  return { kind: 'resolved', detail }
}
