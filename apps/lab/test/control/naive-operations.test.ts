import { randomUUID } from 'node:crypto'
import { createDatabase, type Database, developmentAccounts } from '@seatbelt/database'
import { renderings } from '@seatbelt/http'
import type { Gateway, GatewayAnswer } from '@seatbelt/safety'
import { createLatch, type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNaiveOperations } from '../../src/control/naive-operations.ts'
import { prepareUnprotectedDatabase } from '../../src/control/unprotected-database.ts'

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
    const { gateway, charges } = fakeGateway(async () => {
      reads += 1
      if (reads === 2) bothHaveRead.open()
      await bothHaveRead.wait()
    })
    const { payOrder } = await orderToPay(gateway)
    const results = await Promise.all([payOrder(), payOrder()])
    expect(results.map(({ kind }) => kind)).toEqual(['answered', 'answered'])
    expect(charges()).toBe(2)
  })

  it('leaves the charge behind when the answer is lost, and charges again when it is asked again', async () => {
    let lose = true
    const { gateway, charges } = fakeGateway(undefined, () => {
      const lost = lose
      lose = false
      return lost
    })
    const { payOrder } = await orderToPay(gateway)
    await expect(payOrder()).rejects.toThrow('did not confirm')
    await payOrder()
    expect(charges()).toBe(2)
  })
})

it("the control's database has every table and no unique index but the primary keys", async () => {
  const client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  const { rows } = await client.query<{ primaries: number; uniques: number }>(
    `SELECT count(*) FILTER (WHERE indisprimary)::integer AS primaries,
            count(*) FILTER (WHERE indisunique AND NOT indisprimary)::integer AS uniques
       FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace`,
  )
  await client.end()
  expect(rows[0]?.uniques).toBe(0)
  expect(rows[0]?.primaries).toBeGreaterThanOrEqual(7)
})

async function orderToPay(gateway: Gateway) {
  const operations = createNaiveOperations({ database, gateway, renderings })
  const orderId = randomUUID()
  await database.client.order.create({
    data: { id: orderId, accountId, customerId: 'customer', amountMinor: 1_234, currency: 'EUR' },
  })
  return { orderId, payOrder: () => operations.payOrder(call, { orderId, paymentMethod: 'pm_card_visa' }) }
}

/** Charges whatever it is asked for. Each confirm first waits for `beforeCharge`; its answer gets lost if `losesAnswer` says so. */
function fakeGateway(beforeCharge: () => Promise<void> = async () => undefined, losesAnswer = () => false) {
  let charged = 0
  const intent = (id: string, chargeId: string | null): GatewayAnswer => ({
    kind: 'intent',
    requestId: null,
    intent: {
      id,
      status: chargeId === null ? 'requires_confirmation' : 'succeeded',
      amountMinor: 1_234,
      currency: 'EUR',
      chargeId,
      declineCode: null,
      metadata: {},
    },
  })
  const gateway: Gateway = {
    createIntent: async () => intent(`pi_${randomUUID()}`, null),
    confirmIntent: async (id) => {
      await beforeCharge()
      charged += 1
      if (losesAnswer()) return { kind: 'unknown', reason: 'connection', status: null, requestId: null }
      return intent(id, `ch_${charged}`)
    },
    cancelIntent: async (id) => intent(id, null),
    retrieveIntent: async (id) => intent(id, null),
  }
  return { gateway, charges: () => charged }
}
