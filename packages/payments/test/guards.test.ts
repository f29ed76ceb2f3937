import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { applyGatewayEvent, createSubscriptionOperations, type PaymentLayers } from '../src/index.ts'
import { type BillingShop, hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { dispute } from './dispute-support.ts'
import { eventAbout } from './gateway-console.ts'
import { hookedTransaction, isOrderRead, isSettleRead } from './hooked-transaction.ts'
import { openPaid, refund } from './refund-support.ts'
import { accountId, brief, call, openShop, paymentIdOf, type Replica, type Shop } from './shop.ts'

/**
 * Each guard of a write, against a change between the read and the write.
 *
 * Row locks prevent such changes, so they are left out here. The control runs the same race while this one guard passes
 * everything. All tests share one shop, and each begins with empty tables.
 */
let shop: Shop
let billing: BillingShop
let other: Replica
let realGuard: string
beforeAll(async () => {
  // Banks change nothing by themselves.
  shop = await openShop({ refundChangeMs: 3_600_000 })
  billing = openBillingShop(shop)
  other = await shop.replica('other')
  const [row] = await shop.sql<{ guard: string }>(`SELECT pg_get_functiondef('guard'::regproc) AS guard`)
  realGuard = row?.guard ?? ''
})
afterAll(() => shop?.close())
beforeEach(async () => {
  await shop.sql(realGuard)
  await byHand(`TRUNCATE ${tables.join(', ')} CASCADE`)
})
afterEach(() => shop.closeReplicas('raced'))

/** Every table that a transaction of payments may write. */
const tables = [
  ...['orders', 'payments', 'payment_events', 'refunds', 'transfers', 'idempotency_keys', 'outbox'],
  ...['subscriptions', 'invoices', 'gateway_events', 'disputes'],
]

/** Past the triggers, some of which reject such changes. */
async function byHand(change: string): Promise<void> {
  await shop.sql('SET session_replication_role = replica')
  await shop.sql(change)
  await shop.sql('SET session_replication_role = DEFAULT')
}

interface Interleaving {
  /** The change follows this read. */
  readonly isRead: (text: string) => boolean
  readonly layers?: Partial<PaymentLayers>
  readonly prepare: () => Promise<string>
  readonly operate: (raced: Replica, id: string) => Promise<string>
  /** Changes every row of its table: the database holds one order. */
  readonly change: string
}

interface Race extends Interleaving {
  /** Its name comes first. */
  readonly guard: string
  /** The answer, and the books afterwards. */
  readonly result: string
  readonly withoutGuard: string
}

const order = () => other.createOrder()
const authorized = async () => paymentIdOf(await other.authorize(await other.createOrder()))
const paid = async () => (await openPaid(other)).paymentId
const refunded = (card: string) => async () => {
  const { paymentId } = await openPaid(other, card)
  await refund(other, paymentId, 1_000)
  return paymentId
}

const pay: Race['operate'] = async (raced, orderId) => brief(await raced.pay(orderId))
const refundPart: Race['operate'] = async (raced, paymentId) => brief(await refund(raced, paymentId, 1_000))
const billAll: Race['operate'] = (raced) => lead(raced, hoursFromNow(1))
/** The gateway's event about the only refund of a payment. */
const refundEvent =
  (status: 'succeeded' | 'failed'): Race['operate'] =>
  async ({ deps }, paymentId) => {
    const [row] = await shop.sql<{ refundId: string; orderId: string; id: string; intentId: string; chargeId: string }>(
      `SELECT gateway_key AS "refundId", order_id AS "orderId", gateway_refund_id AS id, gateway_intent_id AS "intentId",
              gateway_charge_id AS "chargeId" FROM refunds WHERE payment_id = $1`,
      [paymentId],
    )
    if (!row) throw new Error('there is no refund')
    const { refundId, orderId, id, intentId, chargeId } = row
    const money = { amountMinor: 1_000, currency: 'EUR', createdAt: new Date() }
    const metadata = { refundId, orderId, accountId }
    const shown = { id, status, intentId, chargeId, metadata, failureReason: null, ...money }
    const named = { accountId, orderId, paymentId, refundId }
    const subject = { kind: 'refund', gatewayRefundId: id, named, shown } as const
    return applyGatewayEvent(deps, { id: `evt_${randomUUID()}`, type: 'refund.updated', requestId: null, subject })
  }

const disputed = async () => {
  const paymentId = await paid()
  await (await dispute(shop, { paymentId })).deliver(other, 'created')
  return paymentId
}
/** The gateway's event that it withdrew the money of the only dispute. */
const withdrawalEvent: Race['operate'] = async ({ deps }) => {
  const [row] = await shop.sql<{ id: string }>('SELECT gateway_dispute_id AS id FROM disputes')
  return applyGatewayEvent(deps, await eventAbout(shop, 'charge.dispute.funds_withdrawn', row?.id ?? ''))
}

const isDisputeRead = (text: string) => text.includes('FROM disputes WHERE gateway_dispute_id')
const isSubscriptionRead = (text: string) => text.includes('anchor')
const isEventRead = (text: string) => text.includes('key_is_remembered')
const unknown = async () =>
  ({
    kind: 'unknown',
    reason: 'no answer',
    readable: true,
    isOrphan: false,
    intentId: null,
    requestLog: [],
    elsewhere: [],
  }) as const

const claiming = { isRead: isOrderRead, prepare: order, operate: pay }
const settling = { isRead: isSettleRead, prepare: order, operate: pay }
const refunding = { isRead: isSettleRead, prepare: paid, operate: refundPart }
const charging = { isRead: isOrderRead, prepare: () => billing.subscribe(other), operate: billAll }

const takePaymentOver = 'UPDATE payments SET generation = generation + 1, owner = NULL, leased_until = NULL'
const takeRefundOver = 'UPDATE refunds SET generation = generation + 1, owner = NULL, leased_until = NULL'

const races: readonly Race[] = [
  {
    ...claiming,
    guard: 'order-version, when a payment is claimed',
    change: `UPDATE orders SET state = 'cancelled', version = version + 1`,
    result: 'refused order-cancelled: order cancelled',
    withoutGuard: 'unsettled: order cancelled, payment processing, last intent-created',
  },
  {
    guard: 'order-version, when an order is cancelled',
    isRead: isOrderRead,
    prepare: order,
    operate: async (raced, orderId) => brief(await raced.cancel(orderId)),
    change: `UPDATE orders SET state = 'processing', version = version + 1`,
    result: 'refused payment-in-progress: order processing',
    withoutGuard: 'answered 200: order processing',
  },
  {
    ...settling,
    guard: 'order-version, when a payment is settled',
    change: 'UPDATE orders SET version = version + 1',
    result: 'answered 201: order paid, payment succeeded, charge',
    withoutGuard: 'answered 201: order processing, payment succeeded, charge',
  },
  {
    ...settling,
    guard: 'payment-generation, when a payment is settled',
    change: takePaymentOver,
    result: 'unsettled: order processing, payment processing, last superseded',
    withoutGuard: 'answered 201: order paid, payment processing, charge',
  },
  {
    guard: 'payment-generation, when a payment is authorized',
    isRead: isSettleRead,
    prepare: order,
    operate: async (raced, orderId) => brief(await raced.authorize(orderId)),
    change: takePaymentOver,
    result: 'unsettled: order processing, payment processing, last superseded',
    withoutGuard: 'answered 201: order processing, payment processing',
  },
  {
    ...settling,
    guard: 'payment-generation, when a payment is given up',
    layers: { gatewayIntent: unknown },
    change: takePaymentOver,
    result: 'unsettled: order processing, payment processing, last superseded',
    withoutGuard: 'unsettled: order processing, payment processing, last unknown',
  },
  {
    guard: 'payment-generation, when a capture is claimed',
    isRead: (text) => text.includes('payments.*, orders.purpose'),
    prepare: authorized,
    operate: async (raced, paymentId) => brief(await raced.capture(paymentId)),
    change: `UPDATE payments SET state = 'voiding', goal = 'void', generation = generation + 1`,
    result: 'refused payment-in-progress: order processing, payment voiding',
    withoutGuard: 'answered 200: order paid, payment succeeded, charge',
  },
  {
    guard: 'payment-generation, when a void is claimed',
    isRead: (text) => text.includes('payments.*, orders.purpose'),
    prepare: authorized,
    operate: async (raced, paymentId) => brief(await raced.void(paymentId)),
    change: `UPDATE payments SET state = 'capturing', goal = 'capture', generation = generation + 1`,
    result: 'refused payment-in-progress: order processing, payment capturing',
    withoutGuard: 'answered 200: order pending, payment voided',
  },
  {
    guard: 'payment-refundable, when a refund is opened',
    isRead: (text) => text.includes('refunds_at_gateway'),
    prepare: paid,
    operate: refundPart,
    change: 'UPDATE payments SET refund_pending_minor = 4200',
    result: 'refused refund-exceeds-payment: order paid, payment succeeded, charge',
    withoutGuard: 'answered 201: order partially_refunded, payment succeeded - 1000, refund succeeded, charge + refund',
  },
  {
    guard: 'payment-refundable, when a refund is opened and its payment is disputed',
    isRead: (text) => text.includes('refunds_at_gateway'),
    prepare: paid,
    operate: refundPart,
    change: `UPDATE payments SET dispute_state = 'open'`,
    result: 'refused payment-disputed: order paid, payment succeeded, charge',
    // The gateway refunds an amount that was never reserved, and the settle cannot book it.
    withoutGuard: 'unsettled: order paid, payment succeeded, refund processing, charge, last claimed',
  },
  {
    guard: 'dispute-seen, when a movement of a dispute is booked',
    isRead: isDisputeRead,
    prepare: disputed,
    operate: withdrawalEvent,
    change: 'UPDATE disputes SET withdrawn_minor = 4200',
    result: 'noted: order paid, payment succeeded, charge, last disputed',
    withoutGuard: 'applied: order paid, payment succeeded, disputed 4200, charge + dispute_withdrawal, last disputed',
  },
  {
    guard: 'payment-disputed, when a movement of a dispute is booked',
    isRead: isDisputeRead,
    prepare: disputed,
    operate: withdrawalEvent,
    change: 'UPDATE payments SET disputed_minor = 100',
    result: 'applied: order paid, payment succeeded, disputed 4300, charge + dispute_withdrawal, last disputed',
    withoutGuard: 'applied: order paid, payment succeeded, disputed 100, charge + dispute_withdrawal, last disputed',
  },
  {
    ...refunding,
    guard: 'payment-refundable, when a refund is booked',
    change: 'UPDATE payments SET refunded_minor = 100',
    result: 'answered 201: order partially_refunded, payment succeeded - 1100, refund succeeded, charge + refund',
    withoutGuard: 'answered 201: order partially_refunded, payment succeeded - 100, refund succeeded, charge + refund',
  },
  {
    ...refunding,
    guard: 'refund-generation, when a refund is settled',
    change: takeRefundOver,
    result: 'unsettled: order paid, payment succeeded, refund processing, charge, last superseded',
    withoutGuard:
      'answered 201: order partially_refunded, payment succeeded - 1000, refund processing, charge + refund',
  },
  {
    ...refunding,
    guard: 'refund-generation, when a refund is given up',
    layers: { gatewayRefund: unknown },
    change: takeRefundOver,
    result: 'unsettled: order paid, payment succeeded, refund processing, charge, last superseded',
    withoutGuard: 'unsettled: order paid, payment succeeded, refund processing, charge, last unknown',
  },
  {
    guard: 'refund-generation, when an event deposes the owner of a refund',
    isRead: isEventRead,
    prepare: refunded('pm_card_pendingRefund'),
    operate: refundEvent('succeeded'),
    change: `UPDATE refunds SET state = 'failed', failure_code = 'declined', settled_at = now(), leased_until = NULL`,
    result: 'noted: order paid, payment succeeded, refund failed, charge',
    withoutGuard: 'applied: order paid, payment succeeded, refund failed, charge, last superseded',
  },
  {
    guard: 'refund-generation, when a refund is reversed',
    isRead: isEventRead,
    prepare: refunded('pm_card_visa'),
    operate: refundEvent('failed'),
    change: `UPDATE refunds SET state = 'failed', failure_code = 'unknown', reversed_at = now()`,
    result: 'noted: order partially_refunded, payment succeeded - 1000, refund failed, charge + refund',
    withoutGuard:
      'applied: order paid, payment succeeded, refund failed, charge + refund + refund_reversal, last reversed',
  },
  {
    guard: 'subscription-version, when a subscription is cancelled',
    isRead: isSubscriptionRead,
    prepare: charging.prepare,
    operate: async ({ deps }, id) =>
      brief(await createSubscriptionOperations(deps).cancelSubscription(call(randomUUID(), id), id)),
    change: `UPDATE subscriptions SET state = 'past_due', version = version + 1`,
    result: 'answered 200: subscription cancelled',
    withoutGuard: 'answered 200: subscription past_due',
  },
  {
    ...charging,
    guard: 'subscription-version, when an invoice is made',
    isRead: isSubscriptionRead,
    change: `UPDATE subscriptions SET state = 'cancelled', version = version + 1`,
    result: 'finished: subscription cancelled',
    withoutGuard: 'finished: subscription cancelled, invoice open after tries 0, order pending',
  },
  {
    ...charging,
    guard: 'invoice-tries, when a try is claimed',
    change: `UPDATE invoices SET tries = tries + 1, next_try_at = now() + interval '1 day'`,
    result: 'finished: subscription active, invoice open after tries 1, order pending',
    withoutGuard: 'finished: subscription active, invoice paid after tries 1, order paid, payment succeeded, charge',
  },
  {
    ...charging,
    guard: 'invoice-tries, when an invoice is settled',
    isRead: (text) => text.includes('clock_timestamp() AS now FROM invoices'),
    change: 'UPDATE invoices SET tries = tries + 1',
    result: 'finished: subscription active, invoice paid after tries 2, order paid, payment succeeded, charge',
    withoutGuard: 'finished: subscription active, invoice open after tries 2, order paid, payment succeeded, charge',
  },
]

/** All that is committed. */
function everyRow() {
  return Promise.all(tables.map((table) => shop.sql(`SELECT t::text FROM ${table} AS t ORDER BY 1`)))
}

async function books(): Promise<string> {
  const [row] = await shop.sql<{ books: string }>(`
    SELECT concat_ws(', ',
      (SELECT 'subscription ' || state FROM subscriptions),
      (SELECT 'invoice ' || state || ' after tries ' || tries FROM invoices),
      (SELECT 'order ' || state FROM orders),
      (SELECT 'payment ' || state || CASE WHEN refunded_minor > 0 THEN ' - ' || refunded_minor ELSE '' END
         FROM payments),
      (SELECT 'disputed ' || disputed_minor FROM payments WHERE disputed_minor > 0),
      (SELECT 'refund ' || state FROM refunds),
      (SELECT string_agg(kind, ' + ' ORDER BY kind) FROM transfers),
      (SELECT 'last ' || NULLIF(event, 'settled') FROM payment_events ORDER BY id DESC LIMIT 1)) AS books`)
  return row?.books ?? ''
}

/** `before`: every committed row after each read. If two are equal, the run between them left nothing. */
async function run({ isRead, layers, prepare, operate, change }: Interleaving, changedRuns = 1) {
  const before: unknown[] = []
  const raced = await shop.replica('raced', {
    layers: ({ transaction }) => ({
      ...layers,
      transaction: hookedTransaction(transaction, {
        change: (text) => text.replace(/FOR NO KEY UPDATE( OF \w+)?/, ''),
        afterRead: async (text) => {
          if (!isRead(text)) return
          if (before.length < changedRuns) await byHand(change)
          before.push(await everyRow())
        },
      }),
    }),
  })
  const id = await prepare()
  const result = await operate(raced, id).catch((fault: unknown) => `throws ${fault}`)
  return { result: `${result}: ${await books()}`, before, faults: raced.faults }
}

const passThisGuard = (guard: string) => `
  CREATE OR REPLACE FUNCTION guard(holds boolean, name text) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    IF holds IS NOT TRUE AND name <> '${guard}' THEN
      RAISE EXCEPTION 'the guard % failed', name USING ERRCODE = 'SB001', CONSTRAINT = name;
    END IF;
  END $$`

describe.each(races.map((race) => ({ ...race, race })))('the guard $guard', ({ race, guard }) => {
  it('rolls the whole transaction back, and the next run reads the change', async () => {
    const { result, before } = await run(race)
    expect(before).toHaveLength(2)
    expect(before[1]).toEqual(before[0])
    expect(result).toBe(race.result)
  })

  it('without it, the write goes wrong: so the race is real', async () => {
    await shop.sql(passThisGuard(guard.replace(/,.*/, '')))
    expect((await run(race)).result).toBe(race.withoutGuard)
  })
})

describe('a row that changes under each of three runs', () => {
  const change = 'UPDATE orders SET version = version + 1'

  it('refuses the claim, which writes nothing', async () => {
    const { result, before } = await run({ ...claiming, change }, 3)
    expect(before).toHaveLength(3)
    expect(result).toBe('refused payment-in-progress: order pending')
    // The key that created the order is the only one.
    expect(await shop.sql('SELECT key FROM idempotency_keys')).toHaveLength(1)
  })

  it('leaves the settle to recovery, and reports the guard', async () => {
    const { result, before, faults } = await run({ ...settling, change }, 3)
    expect(before).toHaveLength(3)
    expect(result).toBe('unsettled: order processing, payment processing, last intent-created')
    expect(String(faults)).toContain('order-version')
  })
})
