import { randomUUID } from 'node:crypto'
import { createDatabase, type Database, developmentAccounts } from '@seatbelt/database'
import { renderings } from '@seatbelt/http'
import type { GatewayEvent } from '@seatbelt/payments'
import { createLatch, type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { applyNaively } from '../../src/control/naive-events.ts'
import { createNaiveOperations } from '../../src/control/naive-operations.ts'
import { prepareUnprotectedDatabase } from '../../src/control/unprotected-database.ts'
import { fakeGateway, type NaiveGateway } from './fake-gateway.ts'

const [{ id: accountId }] = developmentAccounts
const call = { accountId, key: 'one-key', fingerprint: new Uint8Array(32) }

let fresh: FreshDatabase
let database: Database

beforeEach(async () => {
  fresh = await freshDatabase({ template: 'template1' })
  await prepareUnprotectedDatabase(fresh.url)
  database = createDatabase({ url: fresh.url, poolSize: 4, applicationName: 'control-test' })
})

afterEach(async () => {
  await database.close()
  await fresh.close()
})

describe("the control's payment", () => {
  it('charges once when nobody else pays: it is a tutorial that works, not a strawman', async () => {
    const { gateway, charges } = fakeGateway()
    const { payOrder, orderId } = await orderToPay(gateway)
    expect(await payOrder()).toMatchObject({ kind: 'answered', answer: { status: 201 } })
    expect(await payOrder()).toMatchObject({ kind: 'refused', refusal: { code: 'order-already-paid' } })
    expect(charges()).toBe(1)
    const booked = await database.client.transfer.findMany({ include: { payment: true } })
    expect(booked.map(({ payment, amountMinor }) => [payment.orderId, amountMinor])).toEqual([[orderId, 1_234]])
  })

  it('charges twice when two requests read before either has charged, though they carry one key', async () => {
    const bothHaveRead = createLatch('both have read the order')
    let reads = 0
    const { gateway, charges } = fakeGateway({
      beforeCharge: async () => {
        reads += 1
        if (reads === 2) bothHaveRead.open()
        await bothHaveRead.wait()
      },
    })
    const { payOrder } = await orderToPay(gateway)
    const results = await Promise.all([payOrder(), payOrder()])
    expect(results.map(({ kind }) => kind)).toEqual(['answered', 'answered'])
    expect(charges()).toBe(2)
  })

  it('leaves the charge behind when the answer is lost, and charges again when it is asked again', async () => {
    let lose = true
    const { gateway, charges } = fakeGateway({
      losesAnswer: () => {
        const lost = lose
        lose = false
        return lost
      },
    })
    const { payOrder } = await orderToPay(gateway)
    await expect(payOrder()).rejects.toThrow('did not confirm')
    await payOrder()
    expect(charges()).toBe(2)
  })
})

describe("the control's refund", () => {
  it('gives back what is asked for and no more, when nobody else asks', async () => {
    const { gateway, givenBack } = fakeGateway()
    const { operations, pay } = await orderToPay(gateway)
    const paymentId = await pay('automatic')
    const refund = (amountMinor: number) => operations.refundPayment(call, { paymentId, amountMinor, reason: null })
    expect(await refund(1_000)).toMatchObject({ kind: 'answered', answer: { status: 201 } })
    expect(await refund(1_000)).toMatchObject({ refusal: { code: 'refund-exceeds-payment', refundableMinor: 234 } })
    expect(givenBack()).toEqual([1_000])
    expect(await database.client.order.findFirst()).toMatchObject({ state: 'partially_refunded' })
  })

  it('gives back twice when two requests read before either has written, and remembers one of them', async () => {
    const bothAsk = createLatch('both ask the gateway')
    let asking = 0
    const { gateway, givenBack } = fakeGateway({
      beforeCharge: async () => {
        asking += 1
        // The first is the payment.
        if (asking === 3) bothAsk.open()
        if (asking > 1) await bothAsk.wait()
      },
    })
    const { operations, pay } = await orderToPay(gateway)
    const paymentId = await pay('automatic')
    const refund = () => operations.refundPayment(call, { paymentId, amountMinor: 600, reason: null })
    await Promise.all([refund(), refund()])
    expect(givenBack()).toEqual([600, 600])
    expect(await database.client.payment.findFirst()).toMatchObject({ refundedMinor: 600 })
  })
})

describe("the control's hold", () => {
  it.each([
    ['capture', 'succeeded', 'paid', 1],
    ['void', 'voided', 'pending', 0],
  ] as const)('%s: ends it, once', async (how, state, orderState, charged) => {
    const { gateway, charges } = fakeGateway()
    const { operations, pay } = await orderToPay(gateway)
    const paymentId = await pay('manual')
    const end = how === 'capture' ? operations.capturePayment : operations.voidPayment
    expect(await end(call, paymentId)).toMatchObject({ kind: 'answered', answer: { status: 200 } })
    expect(await end(call, paymentId)).toMatchObject({ refusal: { code: 'payment-not-authorized' } })
    expect(await database.client.payment.findFirst()).toMatchObject({ state })
    expect(await database.client.order.findFirst()).toMatchObject({ state: orderState })
    expect(charges()).toBe(charged)
  })
})

it("the control's events book the money that its requests then do not, and again each time they are told", async () => {
  const { gateway } = fakeGateway()
  const { orderId, pay } = await orderToPay(gateway, 'event')
  const paymentId = await pay('automatic')
  expect(await database.client.transfer.count()).toBe(0)
  const shown = { id: 'pi_1', status: 'succeeded', amountMinor: 1_234, receivedMinor: 1_234, currency: 'EUR' } as const
  const event: GatewayEvent = {
    ...{ id: 'evt_1', type: 'payment_intent.succeeded', requestId: null },
    subject: {
      ...{ kind: 'intent', intentId: 'pi_1', named: { accountId, orderId: null, paymentId, refundId: null } },
      shown: { ...shown, chargeId: 'ch_1', declineCode: null, metadata: { orderId }, createdAt: new Date(0) },
    },
  }
  await applyNaively({ database }, event)
  expect(await database.client.transfer.count()).toBe(1)
  await applyNaively({ database }, event)
  expect(await database.client.transfer.count()).toBe(2)
})

it("the control's database has every table, no unique index but the primary keys, and nothing that protects a seat", async () => {
  const client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  const { rows } = await client.query<{ primaries: number; uniques: number }>(
    `SELECT count(*) FILTER (WHERE indisprimary)::integer AS primaries,
            count(*) FILTER (WHERE indisunique AND NOT indisprimary)::integer AS uniques
       FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace`,
  )
  const seats = await client.query<{ keys: number; triggers: number }>(
    `SELECT (SELECT count(*)::integer FROM pg_constraint
              WHERE conname IN ('seat_claims_pkey', 'tiers_never_oversold', 'bookings_one_per_seat')) AS keys,
            (SELECT count(*)::integer FROM pg_trigger
              WHERE NOT tgisinternal AND tgrelid IN ('holds'::regclass, 'bookings'::regclass, 'seat_claims'::regclass)) AS triggers`,
  )
  await client.end()
  expect(seats.rows).toEqual([{ keys: 0, triggers: 0 }])
  expect(rows[0]?.uniques).toBe(0)
  expect(rows[0]?.primaries).toBeGreaterThanOrEqual(7)
})

async function orderToPay(gateway: NaiveGateway, bookedBy: 'request' | 'event' = 'request') {
  const operations = createNaiveOperations({ database, gateway, renderings, bookedBy })
  const orderId = randomUUID()
  await database.client.order.create({
    data: { id: orderId, accountId, customerId: 'customer', amountMinor: 1_234, currency: 'EUR' },
  })
  const pay = (capture: 'automatic' | 'manual') =>
    operations.payOrder(call, { orderId, paymentMethod: 'pm_card_visa', capture })
  return {
    orderId,
    operations,
    payOrder: () => pay('automatic'),
    /** The id of its one payment, once it was paid or put on hold. */
    pay: async (capture: 'automatic' | 'manual') => {
      await pay(capture)
      return (await database.client.payment.findFirstOrThrow({ where: { orderId } })).id
    },
  }
}
