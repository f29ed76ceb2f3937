import {
  empty,
  type Orphan,
  type Payment as PaymentRow,
  type Refund as RefundRow,
  type RollBack,
  sql,
  type Tx,
} from '@seatbelt/database'
import type { Money, OrderPurpose } from '@seatbelt/domain'
import {
  type Gateway,
  type GatewayIntent,
  type GatewayRefund,
  idWithReference,
  keyRememberedHours,
  readRefundOutcome,
  underLock,
} from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import {
  adoptIntent,
  findPaymentNamed,
  isAdoptable,
  lockSubscriptionOf,
  moneyTaken,
  nameOfIntent,
} from '../payment/adopt-intent.ts'
import { settlePayment, settleUnowned } from '../payment/settle-payment.ts'
import { adoptRefund } from '../refund/adopt-refund.ts'
import { toRefundAttempt } from '../refund/owned-refund.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { depose, leasedRefunds, noOwner } from '../shared/leased-work.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { isOpenOrphan } from '../shared/orphan.ts'
import type { PaymentDeps, Queryable } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import type { Operator } from './operator-action.ts'

/** A person reads them one by one. */
const mostOrphans = 100

/** The open orphans of one order, or of all accounts: the oldest first. */
export function listOrphans({ database }: Queryable, orderId: string | null = null): Promise<Orphan[]> {
  return database.query<Orphan>(sql`
    SELECT * FROM orphans WHERE ${isOpenOrphan} ${ofOrder(orderId)} ORDER BY found_at, id LIMIT ${mostOrphans}`)
}

export async function countOrphans({ database }: Queryable, orderId: string | null = null): Promise<number> {
  const [row] = await database.query<{ count: number }>(sql`
    SELECT count(*)::int AS count FROM orphans WHERE ${isOpenOrphan} ${ofOrder(orderId)}`)
  return row?.count ?? 0
}

/** By its id. The gateway knows it by the id without the time, or by the whole id. */
function ofOrder(orderId: string | null) {
  if (orderId === null) return empty
  const reference = idWithReference('00000000-0000', orderId)
  return sql`AND (order_id = ${orderId}::uuid OR order_reference IN (${orderId}, ${reference}))`
}

export type OrphanResolution = 'adopt' | 'refund' | 'dismiss'

/** A person's decision about an orphan. */
export interface OrphanDecision {
  readonly id: string
  readonly resolution: OrphanResolution
  /** The gateway's id of the intent or refund, where the orphan does not know it. */
  readonly gatewayId: string | null
  readonly operator: Operator
}

/** `left`: it stays open. */
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
 * money of a payment, or cancels its intent. `dismiss` believes the person that no money is at stake; it also ends our
 * own open payment or refund of the orphan's name, as cancelled or failed. Each records the name and the reason.
 *
 * Guarantees: an orphan is resolved once, in the commit of what it changes. Nothing is entered or returned that the
 * gateway does not show at this moment under the orphan's name. Money is returned only while no payment of ours has it
 * or may meet it, and no payment can from then on; a repetition goes on and returns it once.
 */
export async function resolveOrphan(parts: Parts, decision: OrphanDecision): Promise<OrphanResolved> {
  const { database } = parts.payments
  const orphan = await database.statement((client) => client.orphan.findUnique({ where: { id: decision.id } }))
  if (!orphan) return { kind: 'not-found' }
  if (decision.resolution === 'dismiss')
    return close(parts, orphan, decision, { resolution: 'dismissed', gatewayId: null })
  return orphan.kind === 'payment' ? withIntent(parts, orphan, decision) : withRefund(parts, orphan, decision)
}

type Left = Extract<OrphanResolved, { kind: 'left' }>

function left(why: string): Left {
  return { kind: 'left', why }
}

interface OrphanToDecide {
  readonly order: OrderOfOrphan | null
  /** A payment that was claimed under the orphan's name and may meet its intent. */
  readonly meetingId: string | null
  readonly isBeingReturned: boolean
}

/**
 * Runs `decide` in one transaction, under the lock of the orphan's order and of its row, if it is still open and our
 * books do not have what the gateway shows.
 */
async function underOrphanLock<T extends { readonly kind: string }>(
  { payments }: Parts,
  orphan: Orphan,
  gatewayId: string | null,
  decide: (tx: Tx, found: OrphanToDecide, rollBack: RollBack<T>) => Promise<T>,
): Promise<T | Left> {
  const order = await findOrderOf(payments.database.query, orphan)
  const { accountId, orderId } = order ?? { accountId: orphan.accountId ?? '', orderId: orphan.orderReference ?? '' }
  return underLock<T | Left, T>(payments.layers, orderLockName({ accountId, orderId }), async (tx, rollBack) => {
    // On its own: a statement that waited for the lock shows everything else as it was before.
    tx.read(sql`SELECT 1 FROM orphans WHERE id = ${orphan.id}::uuid FOR UPDATE`).catch(() => undefined)
    const [[row], now] = await Promise.all([readState(tx, orphan, gatewayId), findOrderOf(tx.read.bind(tx), orphan)])
    if (!row) throw new Error(`orphan ${orphan.id} is gone`)
    if (row.resolution !== null) return left(`it was ${row.resolution} before, by ${row.resolvedBy}`)
    if (!row.isOpen || row.isOwned) return left(`our books have this ${orphan.kind} by now`)
    if (now?.orderId !== order?.orderId) return left('its order was made just now: repeat the command')
    return decide(tx, { ...row, order }, rollBack)
  })
}

interface RowOfOrphan extends Omit<OrphanToDecide, 'order'>, Pick<Orphan, 'resolution' | 'resolvedBy'> {
  readonly isOpen: boolean
  readonly isOwned: boolean
}

/** Nothing creates the intent of an older payment, which would wait for ever, once its owner's lease is over. */
const mayStillCreate = sql`
  (payments.created_at > now() - make_interval(hours => ${keyRememberedHours}::int) OR payments.leased_until > now())`

function readState(tx: Tx, { id }: Orphan, gatewayId: string | null): Promise<RowOfOrphan[]> {
  return tx.read<RowOfOrphan>(sql`
    SELECT resolution, resolved_by, refund_claimed_at IS NOT NULL AS is_being_returned, ${isOpenOrphan} AS is_open,
           EXISTS (SELECT FROM payments WHERE orphans.kind = 'payment' AND gateway_intent_id = ${gatewayId}
                   UNION ALL
                   SELECT FROM refunds WHERE orphans.kind = 'refund' AND gateway_refund_id = ${gatewayId}) AS is_owned,
           (SELECT payments.id FROM payments JOIN orders ON orders.id = payments.order_id
             WHERE orphans.kind = 'payment' AND orphans.gateway_intent_id IS NOT NULL
               AND (orders.id = orphans.order_id OR orders.gateway_reference = orphans.order_reference)
               AND payments.gateway_key = orphans.gateway_key AND settled_at IS NULL
               AND payments.gateway_intent_id IS NULL AND ${mayStillCreate} LIMIT 1) AS meeting_id
      FROM orphans WHERE id = ${id}::uuid`)
}

/** Anyone can write an id. It is the orphan's if it carries what we wrote on it. */
function isNamed(
  { accountId, orderReference, gatewayKey, kind }: Orphan,
  { metadata }: Pick<GatewayIntent, 'metadata'>,
): boolean {
  const name = kind === 'payment' ? metadata.paymentId : metadata.refundId
  return name === gatewayKey && metadata.accountId === accountId && metadata.orderId === orderReference
}

async function withIntent(parts: Parts, orphan: Orphan, decision: OrphanDecision): Promise<OrphanResolved> {
  const intentId = orphan.gatewayIntentId ?? decision.gatewayId
  if (intentId === null)
    return left('the gateway did not name its intent: find it there, and give it with --gateway-id')
  const answer = await parts.gateway.retrieveIntent(intentId)
  if (answer.kind !== 'intent') return left('the gateway does not show its intent')
  if (!isNamed(orphan, answer.intent)) return left(`${intentId} is not its intent: the metadata names something else`)
  return decision.resolution === 'adopt'
    ? adoptPayment(parts, orphan, decision, answer.intent)
    : returnMoney(parts, orphan, decision, answer.intent)
}

async function adoptPayment(
  parts: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  shown: GatewayIntent,
): Promise<OrphanResolved> {
  const taken = moneyTaken(shown)
  if (shown.status !== 'succeeded') return left(`its intent is ${shown.status}`)
  if (!taken) return left(`our books cannot hold its currency, ${shown.currency}`)
  if (shown.chargeId === null) return left('the gateway does not show the charge of its intent')
  const restMinor = await readRest(parts, shown)
  if (restMinor === null) return left('the gateway does not show whether it was refunded: repeat the command')
  if (restMinor <= 0)
    return left('the gateway shows that it was refunded: repeat with --refund, which asks for nothing more')
  const { chargeId: gatewayChargeId, receivedMinor: capturedMinor } = shown
  const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
  const { payments } = parts
  const found = { outcome, intentId: shown.id, requestLog: operatorLine(payments, decision) }
  return underOrphanLock(parts, orphan, shown.id, async (tx, { order, isBeingReturned }) => {
    if (isBeingReturned) return left('its money is being returned: repeat with --refund')
    if (!order) return left('its order is not there: create it again with its creation key, or refund the money')
    const open = orphan.gatewayKey ? await findPaymentNamed(tx, order.orderId, orphan.gatewayKey) : null
    await tx.read(lockSubscriptionOf(order.orderId))
    if (open && waitsFor(open, taken)) await settleUnowned(payments, tx, { ...open, purpose: order.purpose }, found)
    else {
      const waiting = await readOrderToDecide(payments, tx, order.accountId, order.orderId)
      const gatewayKey = waiting ? nameOfIntent(waiting, orphan.gatewayKey) : ''
      if (!waiting || !isAdoptable(waiting, taken, gatewayKey)) return left('its order does not wait for this amount')
      const owned = adoptIntent(payments, tx, waiting, { intentId: shown.id, gatewayKey })
      await settlePayment(payments, tx, owned, {
        evidence: { kind: 'outcome', fenced: true, ...found },
        nextLease: null,
      })
    }
    const ending = { resolution: 'adopted', gatewayId: shown.id } as const
    return resolve(tx, orphan, decision, ending, `entered as the payment of order ${order.orderId}`)
  })
}

/** Its intent is not stored, and took its amount or a part of it. */
function waitsFor(open: PaymentRow, taken: Money): boolean {
  const isOpen = open.settledAt === null && open.gatewayIntentId === null
  return isOpen && taken.amountMinor <= open.amountMinor && taken.currency === open.currency
}

/** What is left of the intent's money, refunds under way subtracted. Null: the gateway does not show it. */
async function readRest({ gateway }: Parts, intent: GatewayIntent): Promise<number | null> {
  const refunds = await gateway.listRefundsOf(intent.id)
  if (refunds.kind !== 'list' || refunds.hasMore) return null
  const release = findRelease(refunds.items, intent)
  return refunds.items
    .filter((refund) => refund !== release && readRefundOutcome(refund).state !== 'failed')
    .reduce((rest, { amountMinor }) => rest - amountMinor, intent.receivedMinor)
}

/**
 * Stripe also lists what a partial capture released, as a refund of that amount: the first of them. Where a refund is
 * taken for it wrongly, the gateway refuses to return more than is there.
 */
function findRelease(refunds: readonly GatewayRefund[], { amountMinor, receivedMinor }: GatewayIntent) {
  const releasedMinor = amountMinor - receivedMinor
  const ofThatAmount = refunds.filter((refund) => releasedMinor > 0 && refund.amountMinor === releasedMinor)
  return ofThatAmount.toSorted((one, other) => one.createdAt.getTime() - other.createdAt.getTime())[0]
}

/** The money is claimed first, so that no payment can meet it between the look at our books and the request. */
async function returnMoney(
  parts: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  shown: GatewayIntent,
): Promise<OrphanResolved> {
  const claimed = await claimReturn(parts, orphan, decision, shown)
  if (claimed.kind === 'left') return claimed
  const { gateway } = parts
  if (shown.status === 'succeeded') {
    const refused = await refundRest(parts, orphan, shown)
    return refused ?? close(parts, orphan, decision, { resolution: 'refunded', gatewayId: shown.id })
  }
  if (shown.status !== 'canceled') {
    const answer = await gateway.cancelIntent(shown.id, `${orphan.id}:cancel:1`, orphan.accountId ?? '')
    if (answer.kind !== 'intent' || answer.intent.status !== 'canceled')
      return left('its intent could not be cancelled: repeat the command')
  }
  return close(parts, orphan, decision, { resolution: 'cancelled', gatewayId: shown.id })
}

/**
 * Marks the orphan, which blocks its order, if no payment of ours has the intent or may meet it. It cancels the one
 * that still waits under its name, because the gateway's event would settle it with the money.
 *
 * An order that is made meanwhile has another lock. Its payment may have been claimed before the mark was committed, so
 * that case is read again: what did not see the mark is seen then.
 */
async function claimReturn(parts: Parts, orphan: Orphan, decision: OrphanDecision, shown: GatewayIntent) {
  const claim = () =>
    underOrphanLock(parts, orphan, shown.id, async (tx, { order, meetingId }) => {
      const isFree = meetingId === null
      tx.write(sql`
        UPDATE orphans
           SET refund_claimed_at = CASE WHEN ${isFree} THEN COALESCE(refund_claimed_at, clock_timestamp()) END
         WHERE id = ${orphan.id}::uuid`)
      if (isFree && order) await cancelPaymentNamed(parts.payments, tx, orphan, order, decision)
      return isFree ? ({ kind: 'claimed', hasOrder: order !== null } as const) : left(whyMet(meetingId))
    })
  const claimed = await claim()
  return claimed.kind === 'claimed' && !claimed.hasOrder ? claim() : claimed
}

function whyMet(paymentId: string): string {
  return `payment ${paymentId} of its order may take this money: wait for its end, or look at it by npm run review`
}

/** Null: nothing is left of its money. The list also shows what an earlier run, or a person there, has refunded. */
async function refundRest(parts: Parts, { id, accountId, orderReference }: Orphan, shown: GatewayIntent) {
  const restMinor = await readRest(parts, shown)
  if (restMinor === null) return left('the gateway does not show what was refunded of it: repeat the command')
  if (restMinor <= 0) return null
  // Without a refund's name: no refund of ours is meant.
  const metadata = { refundId: '', orderId: orderReference ?? '', accountId: accountId ?? '' }
  const asked = { intentId: shown.id, amountMinor: restMinor, metadata }
  const answer = await parts.gateway.createRefund(asked, `${id}:refund:${restMinor}`)
  if (answer.kind === 'refund' && readRefundOutcome(answer.refund).state !== 'failed') return null
  return left('the gateway has not refunded it: repeat the command; or see there, and dismiss it')
}

async function withRefund(parts: Parts, orphan: Orphan, decision: OrphanDecision): Promise<OrphanResolved> {
  if (decision.resolution === 'refund') return left('a refund cannot be returned: adopt it, or dismiss it')
  const refundId = orphan.gatewayRefundId ?? decision.gatewayId
  if (refundId === null) return left('the gateway did not name it: find it there, and give it with --gateway-id')
  const answer = await parts.gateway.retrieveRefund(refundId)
  if (answer.kind !== 'refund') return left('the gateway does not show it')
  if (!isNamed(orphan, answer.refund)) return left(`${refundId} is not this refund: the metadata names something else`)
  return enterRefund(parts, orphan, decision, answer.refund)
}

async function enterRefund(
  parts: Parts,
  orphan: Orphan,
  decision: OrphanDecision,
  shown: GatewayRefund,
): Promise<OrphanResolved> {
  const { payments } = parts
  return underOrphanLock<OrphanResolved>(parts, orphan, shown.id, async (tx, { order }, rollBack) => {
    if (!order) return left('its order is not there')
    const [payment] = await tx.read<{ id: string }>(sql`
      SELECT id FROM payments
       WHERE gateway_intent_id = ${shown.intentId} AND order_id = ${order.orderId}::uuid AND currency = ${shown.currency}
         FOR NO KEY UPDATE`)
    if (!payment) return left('its payment is not of this order')
    await failRefundNamed(payments, tx, orphan, order.purpose, decision)
    const { amountMinor } = shown
    const refund = { accountId: order.accountId, paymentId: payment.id, amountMinor, reason: decision.operator.reason }
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
    const ending = { resolution: 'adopted', gatewayId: shown.id } as const
    return resolve(tx, orphan, decision, ending, `entered as refund ${owned.refund.id}`)
  })
}

interface Ending {
  readonly resolution: 'adopted' | 'refunded' | 'cancelled' | 'dismissed'
  /** Null: it was not looked up. */
  readonly gatewayId: string | null
}

/** Ends what waits for the orphan in our books: its payment or refund took or returned no money. */
function close(parts: Parts, orphan: Orphan, decision: OrphanDecision, ending: Ending): Promise<OrphanResolved> {
  const { payments } = parts
  return underOrphanLock<OrphanResolved>(parts, orphan, ending.gatewayId, async (tx, { order, meetingId }) => {
    if (meetingId !== null) return left(whyMet(meetingId))
    if (order && orphan.kind === 'payment') await cancelPaymentNamed(payments, tx, orphan, order, decision)
    if (order && orphan.kind === 'refund') await failRefundNamed(payments, tx, orphan, order.purpose, decision)
    const { resolution } = ending
    const detail = resolution === 'cancelled' ? 'closed: its intent is cancelled, and took no money' : resolution
    return resolve(tx, orphan, decision, ending, detail)
  })
}

/**
 * The payment of ours whose creation the gateway refused, because it had another one under the key; or which is older
 * than its key, and lost its intent.
 */
async function cancelPaymentNamed(
  deps: PaymentDeps,
  tx: Tx,
  { gatewayKey }: Orphan,
  { orderId, purpose }: OrderOfOrphan,
  decision: OrphanDecision,
): Promise<void> {
  const open = gatewayKey ? await findPaymentNamed(tx, orderId, gatewayKey) : null
  if (!open || open.settledAt !== null || open.gatewayIntentId !== null) return
  const requestLog = operatorLine(deps, decision)
  await settleUnowned(deps, tx, { ...open, purpose }, { outcome: { state: 'cancelled' }, intentId: null, requestLog })
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
  read: PaymentDeps['database']['query'],
  { accountId, orderId, orderReference }: Orphan,
): Promise<OrderOfOrphan | null> {
  const [order] = await read<OrderOfOrphan>(sql`
    SELECT id AS order_id, account_id, purpose FROM orders
     WHERE account_id = ${accountId}::uuid AND (id = ${orderId}::uuid OR gateway_reference = ${orderReference})
     ORDER BY id = ${orderId}::uuid DESC NULLS LAST LIMIT 1`)
  return order ?? null
}

function operatorLine({ runtime }: PaymentDeps, { resolution, operator }: OrphanDecision) {
  const detail = `orphan: ${resolution}, by ${operator.name}: ${operator.reason}`
  return [{ atMs: runtime.monotonicMs(), event: 'operator', gatewayRequestId: null, detail, gatewayMessage: null }]
}

/** Its row is locked and open. The id at the gateway is kept, so that later news of it does not open it again. */
function resolve(
  tx: Tx,
  { id, kind }: Orphan,
  { operator }: OrphanDecision,
  { resolution, gatewayId }: Ending,
  detail: string,
): OrphanResolved {
  const column = kind === 'payment' ? sql`gateway_intent_id` : sql`gateway_refund_id`
  tx.write(sql`
    UPDATE orphans
       SET resolved_at = clock_timestamp(), resolution = ${resolution}, resolved_by = ${operator.name},
           resolution_reason = ${operator.reason}, ${column} = COALESCE(${column}, ${gatewayId})
     WHERE id = ${id}::uuid AND resolved_at IS NULL`)
  return { kind: 'resolved', detail }
}
