import { createDatabase, type Database, developmentAccounts } from '@seatbelt/database'
import type { GatewayAnswer, IntentGateway, IntentParameters } from '@seatbelt/safety'
import { createLatch, type FreshDatabase, freshDatabase, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runNaiveBilling } from '../../src/control/naive-billing.ts'
import { prepareUnprotectedDatabase } from '../../src/control/unprotected-database.ts'

const [{ id: accountId }] = developmentAccounts
const now = new Date('2026-11-20T10:00:00Z')

const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)

let fresh: FreshDatabase
let database: Database

beforeEach(async () => {
  fresh = await freshDatabase({ template: 'template1' })
  await prepareUnprotectedDatabase(fresh.url)
  database = createDatabase({ url: fresh.url, poolSize: 4, applicationName: 'control-test' })
  await database.client.subscription.create({
    data: {
      ...{ id: '0192f000-0000-7000-8000-00000000000c', accountId, customerId: 'customer-1' },
      ...{ gatewayCustomerId: 'cus_1', paymentMethod: 'pm_1', amountMinor: 900, currency: 'EUR' },
      ...{ intervalUnit: 'month', intervalCount: 1, timeZone: 'UTC', anchor: new Date('2026-11-20T09:00:00Z') },
      nextDueAt: new Date('2026-11-20T09:00:00Z'),
    },
  })
})
afterEach(async () => {
  expect(faults.splice(0)).toEqual([])
  await database.close()
  await fresh.close()
})

describe("the control's billing run", () => {
  it('charges a period once in one server: it is a cron job that works, not a strawman', async () => {
    const { gateway, charges } = fakeGateway()
    expect(await runNaiveBilling({ database, gateway, onFault }, now)).toBe(1)
    expect(await runNaiveBilling({ database, gateway, onFault }, now)).toBe(0)
    expect(charges()).toBe(1)
    expect(await database.client.subscription.findFirst()).toMatchObject({
      nextPeriod: 1,
      nextDueAt: new Date('2026-12-20T09:00:00Z'),
    })
  })

  it('charges a period three times in three servers that wake at the same hour', async () => {
    const allHaveRead = createLatch('all have read what is due')
    let asked = 0
    const { gateway, charges } = fakeGateway(async () => {
      asked += 1
      if (asked === 3) allHaveRead.open()
      await allHaveRead.wait()
    })
    const charged = valuesOf(await raceCopies(3, () => runNaiveBilling({ database, gateway, onFault }, now)))
    expect(charged).toEqual([1, 1, 1])
    expect(charges()).toBe(3)
    const invoices = await database.client.invoice.groupBy({ by: ['subscriptionId', 'period'], _count: true })
    expect(invoices.map(({ _count }) => _count)).toEqual([3])
  })
})

it("goes on with the others when one charge's answer is lost, as a cron job does", async () => {
  const first = await database.client.subscription.findFirstOrThrow()
  await database.client.subscription.create({
    data: { ...first, id: '0192f000-0000-7000-8000-00000000000d', nextDueAt: new Date('2026-11-20T09:30:00Z') },
  })
  let asked = 0
  const { gateway, charges } = fakeGateway(async () => {
    asked += 1
    if (asked === 1) throw new Error('lost')
  })
  expect(await runNaiveBilling({ database, gateway, onFault }, now)).toBe(1)
  expect([asked, charges(), faults.splice(0)]).toEqual([2, 1, [new Error('lost')]])
})

/** Takes the money of whoever asks for it. */
function fakeGateway(beforeCreate: () => Promise<void> = async () => undefined) {
  let count = 0
  const answer = ({ amountMinor, currency, metadata }: IntentParameters, isCharged: boolean): GatewayAnswer => ({
    kind: 'intent',
    requestId: null,
    intent: {
      ...{ id: 'pi_1', amountMinor, currency, metadata, declineCode: null, createdAt: new Date(0) },
      status: isCharged ? 'succeeded' : 'requires_confirmation',
      receivedMinor: isCharged ? amountMinor : 0,
      chargeId: isCharged ? 'ch_1' : null,
    },
  })
  const never = () => Promise.reject(new Error('the control does not ask for this'))
  const gateway: IntentGateway = {
    createIntent: async (parameters) => {
      await beforeCreate()
      return answer(parameters, false)
    },
    confirmIntent: async (_, parameters) => {
      count += 1
      return answer(parameters, true)
    },
    ...{ captureIntent: never, cancelIntent: never, retrieveIntent: never },
  }
  return { gateway, charges: () => count }
}
