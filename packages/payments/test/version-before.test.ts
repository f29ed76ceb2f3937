import { randomUUID } from 'node:crypto'
import { migrate, migrationsDirectory } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import { databaseOfVersionBefore, type PaymentBefore, type RefundBefore, type VersionBefore } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPaymentOperations, recoverPayment, recoverRefund } from '../src/index.ts'
import { brief, newPayment, openShop, type Replica, type Shop } from './shop.ts'

/** Everything that the version before left open, in one database. Each test recovers its own part. */
let shop: Shop
let old: VersionBefore
let worker: Replica
let left: Awaited<ReturnType<typeof leaveWorkOpen>>

beforeAll(async () => {
  // Banks change nothing by themselves.
  shop = await openShop({ refundChangeMs: 3_600_000 })
  old = await databaseOfVersionBefore({ migrate, migrationsDirectory: migrationsDirectory() })
  left = await leaveWorkOpen()
  await old.migrate()
  await old.endLeases()
  worker = await shop.replica('worker-1', { databaseUrl: old.url })
})
afterAll(async () => {
  await shop?.close()
  await old?.close()
})

async function leaveWorkOpen() {
  const notAsked = await old.claimPayment()
  const created = await old.claimPayment()
  await create(created)
  const confirmed = await old.claimPayment()
  await confirm(confirmed, (await create(confirmed)).id)
  const { payment: stored } = await confirmNew()
  const authorized = await confirmNew({ capture: 'manual' })
  await old.authorize(authorized.payment)
  const capturing = await confirmNew({ capture: 'manual' })
  await old.authorize(capturing.payment)
  await old.endAuthorization(capturing.payment, 'capture')
  await ask(`payment_intents/${capturing.intentId}/capture`, {}, `${capturing.payment.id}:capture:1`)
  const refundNotAsked = await claimRefund()
  const refundAsked = await claimRefund()
  await requestRefund(refundAsked)
  return { notAsked, created, confirmed, stored, authorized, capturing, refundNotAsked, refundAsked }
}

/** Stripe's own wire form, as the version before sent it. The new code must repeat it under the same key. */
async function ask(path: string, form: Record<string, string>, key: string) {
  const response = await fetch(`${shop.gatewayUrl}/v1/${path}`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk_test_dev_only', 'idempotency-key': key },
    body: new URLSearchParams(form),
  })
  const body = (await response.json()) as { id: string; latest_charge: string }
  expect(response.status, JSON.stringify(body)).toBe(200)
  return { ...body, isReplay: response.headers.get('idempotent-replayed') === 'true' }
}

function create({ id, orderId, accountId, amountMinor, paymentMethod, goal, createKey }: PaymentBefore) {
  const form = {
    amount: String(amountMinor),
    currency: 'eur',
    confirm: 'false',
    payment_method: paymentMethod,
    'allowed_payment_method_types[0]': 'card',
    'metadata[paymentId]': id,
    'metadata[orderId]': orderId,
    'metadata[accountId]': accountId,
    ...(goal === 'authorize' && { capture_method: 'manual' }),
  }
  return ask('payment_intents', form, createKey)
}

function confirm({ id }: PaymentBefore, intentId: string) {
  return ask(`payment_intents/${intentId}/confirm`, { error_on_requires_action: 'true' }, `${id}:confirm:1`)
}

/** A payment whose intent is stored and confirmed. Its owner has not settled it. */
async function confirmNew(how: Parameters<VersionBefore['claimPayment']>[0] = {}) {
  const payment = await old.claimPayment(how)
  const { id: intentId } = await create(payment)
  await old.storeIntent(payment, intentId)
  return { payment, intentId, chargeId: (await confirm(payment, intentId)).latest_charge }
}

async function claimRefund() {
  const { payment, intentId, chargeId } = await confirmNew()
  await old.succeed(payment, chargeId)
  return { payment, intentId, refund: await old.claimRefund(payment) }
}

function requestRefund({ payment, intentId, refund }: Awaited<ReturnType<typeof claimRefund>>) {
  const form = {
    payment_intent: intentId,
    amount: String(refund.amountMinor),
    'metadata[refundId]': refund.id,
    'metadata[orderId]': payment.orderId,
    'metadata[accountId]': payment.accountId,
  }
  return ask('refunds', form, refund.refundKey)
}

/** The gateway's own record of an order. */
async function atGateway({ orderId }: PaymentBefore) {
  const response = await fetch(`${shop.gatewayUrl}/_ledger/orders/${orderId}`)
  return (await response.json()) as { captured: { chargeId: string }[]; refunds: object[]; intents: number }
}

/** The order, its one payment, and its transfers, in the database. */
async function inDatabase({ id }: PaymentBefore) {
  const rows = await old.sql(
    `SELECT payment.state, orders.state AS "order", gateway_charge_id AS "chargeId", refunded_minor AS refunded,
            refund_pending_minor AS pending,
            (SELECT array_agg(kind ORDER BY created_at) FROM transfers WHERE payment_id = payment.id) AS transfers
       FROM payments AS payment JOIN orders ON orders.id = payment.order_id WHERE payment.id = $1`,
    [id],
  )
  return rows[0]
}

async function expectChargedOnce(payment: PaymentBefore): Promise<void> {
  const books = await atGateway(payment)
  expect(books).toMatchObject({ captured: [{ amountMinor: payment.amountMinor }], refunds: [], intents: 1 })
  const chargeId = books.captured[0]?.chargeId
  expect(await inDatabase(payment)).toMatchObject({
    state: 'succeeded',
    order: 'paid',
    chargeId,
    transfers: ['charge'],
  })
}

const callOf = ({ idempotencyKey: key, fingerprint }: PaymentBefore | RefundBefore): Call => {
  return { accountId: old.accountId, key, fingerprint }
}

describe('a payment that the version before claimed', () => {
  it('is charged once if the gateway was never asked, also when the old request still arrives', async () => {
    expect(await atGateway(left.notAsked)).toMatchObject({ intents: 0 })
    await recoverPayment(worker.deps, left.notAsked.id)
    expect(await create(left.notAsked)).toMatchObject({ isReplay: true })
    await expectChargedOnce(left.notAsked)
  })

  // `confirmed`: the money is taken, and no intent is stored. `stored`: the intent is stored as well.
  it.each(['created', 'confirmed', 'stored'] as const)('is charged once if its intent was %s', async (name) => {
    await recoverPayment(worker.deps, left[name].id)
    await expectChargedOnce(left[name])
  })

  it('is captured once by the new version if it is authorized', async () => {
    const { payment } = left.authorized
    expect(await atGateway(payment)).toMatchObject({ captured: [] })
    const operations = createPaymentOperations(worker.deps)
    const capture = () => operations.capturePayment({ ...callOf(payment), key: randomUUID() }, payment.id)
    expect(brief(await capture())).toBe('answered 200')
    expect(brief(await capture())).toMatch(/^refused/)
    await expectChargedOnce(payment)
  })

  it('is captured once if the gateway was asked for the capture already', async () => {
    await recoverPayment(worker.deps, left.capturing.payment.id)
    await expectChargedOnce(left.capturing.payment)
  })
})

describe('a refund that the version before claimed', () => {
  it.each(['refundNotAsked', 'refundAsked'] as const)('returns the money once (%s)', async (name) => {
    const { payment, refund } = left[name]
    const before = await atGateway(payment)
    expect(before.refunds).toHaveLength(name === 'refundAsked' ? 1 : 0)
    await recoverRefund(worker.deps, refund.id)
    expect(await requestRefund(left[name])).toMatchObject({ isReplay: true })
    expect(await atGateway(payment)).toMatchObject({ refunds: [{ amountMinor: refund.amountMinor }] })
    const returned = { order: 'refunded', refunded: refund.amountMinor, pending: 0, transfers: ['charge', 'refund'] }
    expect(await inDatabase(payment)).toMatchObject(returned)
  })
})

describe('a retry with a key of the version before', () => {
  it('receives the answer that recovery recorded, each time', async () => {
    const operations = createPaymentOperations(worker.deps)
    const { refund } = left.refundAsked
    const pay = () => operations.payOrder(callOf(left.confirmed), newPayment(left.confirmed))
    const giveBack = () => operations.refundPayment(callOf(refund), { ...refund, reason: null })
    await recoverPayment(worker.deps, left.confirmed.id)
    await recoverRefund(worker.deps, refund.id)
    for (const retry of [pay, giveBack]) {
      const first = await retry()
      expect(brief(first)).toBe('answered 201')
      expect(await retry()).toEqual(first)
    }
    await expectChargedOnce(left.confirmed)
    expect((await atGateway(left.refundAsked.payment)).refunds).toHaveLength(1)
  })
})
