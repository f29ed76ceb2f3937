import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import type { Gateway } from '@seatbelt/safety'
import { raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSubscriptionOperations, type NewGatewayCustomer } from '../src/index.ts'
import { type BillingShop, hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { accountId, bodyOf, brief, call, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let billing: BillingShop
let api: Replica
const strangerId: string = developmentAccounts[1].id

beforeAll(async () => {
  shop = await openShop()
  billing = openBillingShop(shop)
  api = await shop.replica('api-1')
  await shop.sql(
    `INSERT INTO webhook_endpoints (account_id, url, secret) VALUES ($1, 'https://stranger.example.com', 's')`,
    [strangerId],
  )
})
afterAll(() => shop?.close())
beforeEach(async () => {
  await shop.faults()
  await shop.sql(`UPDATE subscriptions SET state = 'cancelled', paused_because = NULL`)
})

function toldAbout(subscriptionId: string) {
  return shop.sql(
    `SELECT account_id AS "accountId", topic, payload FROM outbox WHERE subject_id = $1 AND channel = 'webhook'`,
    [subscriptionId],
  )
}

const operations = (replica: Replica) => createSubscriptionOperations(replica.deps)
const dueNow = () => hoursFromNow(0.01)

function register(
  gatewayCustomerId: string | null,
  { account = accountId as string, key = randomUUID() as string, replica = api } = {},
) {
  const request: NewGatewayCustomer = { customerId: 'customer-1', gatewayCustomerId }
  return operations(replica).registerGatewayCustomer(call(key, request, account), request)
}

async function atGateway(path: string, parameters?: Record<string, string>) {
  const response = await fetch(`${shop.gatewayUrl}/v1/${path}`, {
    ...(parameters && { method: 'POST', body: new URLSearchParams(parameters) }),
    headers: { authorization: 'Bearer sk_test_dev_only' },
  })
  return (await response.json()) as { id: string; metadata: Record<string, string> }
}

/** A customer of the account, with its card. */
async function customerWithCard(account: string = accountId) {
  const { id: gatewayCustomerId } = bodyOf<{ id: string }>(await register(null, { account }))
  const card = await atGateway('payment_methods/pm_card_visa/attach', { customer: gatewayCustomerId })
  return { gatewayCustomerId, paymentMethod: card.id }
}

function subscribe(customer: { gatewayCustomerId: string; paymentMethod: string }, account: string = accountId) {
  const asked = {
    customerId: 'customer-1',
    amountMinor: 900,
    currency: 'EUR',
    receiptEmail: null,
    interval: { unit: 'month', count: 1 },
    timeZone: 'UTC',
    anchor: null,
    missedPeriods: 'collect',
    ...customer,
  } as const
  return operations(api).createSubscription(call(randomUUID(), asked, account), asked)
}

describe('a customer of the gateway', () => {
  it('that is created here carries the account, and belongs to it', async () => {
    const { id } = bodyOf<{ id: string }>(await register(null))
    expect((await atGateway(`customers/${id}`)).metadata).toEqual({ accountId, customerId: 'customer-1' })
    expect(await shop.sql('SELECT account_id FROM gateway_customers WHERE gateway_customer_id = $1', [id])).toEqual([
      { account_id: accountId },
    ])
  })

  it('is created once for copies of one request, and for its repetition after a lost answer', async () => {
    const key = randomUUID()
    await shop.faults({ on: 'create-customer', kind: 'drop-after', rate: 1, times: 1 })
    expect(brief(await register(null, { key }))).toBe('refused temporarily-unavailable')
    await shop.faults()
    const answers = valuesOf(await raceCopies(4, () => register(null, { key })))
    const ids = new Set(
      answers.filter(({ kind }) => kind === 'answered').map((answer) => bodyOf<{ id: string }>(answer).id),
    )
    expect(ids.size).toBe(1)
    const again = await register(null, { key })
    expect(ids).toContain(bodyOf<{ id: string }>(again).id)
  })

  it('that exists is registered for the account that its metadata name, and for no other', async () => {
    const { id } = await atGateway('customers', { 'metadata[accountId]': accountId })
    expect(brief(await register(id, { account: strangerId }))).toBe('refused gateway-customer-not-found')
    expect(brief(await register(id))).toBe('answered 201')
    expect(brief(await register(id))).toBe('answered 201')
  })

  it('whose metadata were changed to name another account stays with its own', async () => {
    const { gatewayCustomerId } = await customerWithCard()
    const lying = await shop.replica('api-of-a-changed-customer', {
      gateway: (real): Gateway => ({
        ...real,
        retrieveCustomer: async (id) => ({
          kind: 'customer',
          customer: { id, metadata: { accountId: strangerId } },
          requestId: null,
        }),
      }),
    })
    expect(brief(await register(gatewayCustomerId, { account: strangerId, replica: lying }))).toBe(
      'refused gateway-customer-not-found',
    )
  })

  it('without the account in its metadata, or that the gateway does not have, is not registered', async () => {
    const { id } = await atGateway('customers', {})
    expect(brief(await register(id))).toBe('refused gateway-customer-not-found')
    expect(brief(await register('cus_unknown'))).toBe('refused gateway-customer-not-found')
  })
})

describe('a request about a customer that the gateway refuses', () => {
  it.each([
    ['create-customer', 'forbidden', 'refused gateway-forbids-operation'],
    ['create-customer', 'refuse', 'refused gateway-refused-request'],
    ['retrieve-customer', 'forbidden', 'refused gateway-forbids-operation'],
    ['create-customer', 'error-before', 'refused temporarily-unavailable'],
  ])('%s, %s: %s', async (on, kind, expected) => {
    await shop.faults({ on, kind, rate: 1 })
    expect(brief(await register(on === 'create-customer' ? null : 'cus_1'))).toBe(expected)
  })

  it('is not admitted while it is forbidden, and says so', async () => {
    const forbidden = { kind: 'not-admitted', reason: 'forbidden', retryAfterSeconds: 2 } as const
    const closed = await shop.replica('api-forbidden', {
      layers: ({ gatewayGate }) => ({ gatewayGate: { ...gatewayGate, forRequests: async () => forbidden } }),
    })
    expect(await register(null, { replica: closed })).toEqual({
      ...{ kind: 'refused', refusal: { code: 'gateway-forbids-operation', retryAfterSeconds: 2 } },
    })
  })
})

describe('a subscription', () => {
  it('charges a customer of its own account', async () => {
    const id = bodyOf<{ id: string }>(await subscribe(await customerWithCard())).id
    await lead(api, dueNow())
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('is not created for a customer of another account, nor for one that is not registered', async () => {
    expect(brief(await subscribe(await customerWithCard(), strangerId))).toBe('refused gateway-customer-not-found')
    const stray = { gatewayCustomerId: 'cus_unknown', paymentMethod: 'pm_card_visa' }
    expect(brief(await subscribe(stray))).toBe('refused gateway-customer-not-found')
  })

  it('that names a customer of another account nevertheless is paused by the claim, and charges nothing', async () => {
    const worker = await shop.replica('worker-of-a-stranger')
    const id = bodyOf<{ id: string }>(await subscribe(await customerWithCard(strangerId), strangerId)).id
    const victim = await customerWithCard()
    await shop.sql('UPDATE subscriptions SET gateway_customer_id = $2, payment_method = $3 WHERE id = $1', [
      id,
      victim.gatewayCustomerId,
      victim.paymentMethod,
    ])
    await lead(worker, dueNow())
    expect(await billing.chargesOf(id)).toEqual([0])
    const found = await operations(api).findSubscription(strangerId, id)
    expect(found?.subscription).toMatchObject({
      state: 'paused',
      pausedBecause: expect.stringContaining('POST /v1/gateway-customers'),
    })
    expect(worker.faults.map(String)).toEqual([expect.stringContaining('is paused')])
    expect(await toldAbout(id)).toEqual([
      {
        ...{ accountId: strangerId, topic: 'subscription.paused' },
        payload: { id, state: 'paused', pausedBecause: expect.stringContaining('POST /v1/gateway-customers') },
      },
    ])
    // It is no longer due: no run tries it again.
    await lead(worker, dueNow())
    expect(worker.faults).toHaveLength(1)
    expect(await toldAbout(id)).toHaveLength(1)
  })

  it('that is paused is active again when its customer is registered, and is charged then', async () => {
    const { id: gatewayCustomerId } = await atGateway('customers', { 'metadata[accountId]': accountId })
    const { id: paymentMethod } = await atGateway('payment_methods/pm_card_visa/attach', {
      customer: gatewayCustomerId,
    })
    const id = bodyOf<{ id: string }>(await subscribe(await customerWithCard())).id
    await shop.sql('UPDATE subscriptions SET gateway_customer_id = $2, payment_method = $3 WHERE id = $1', [
      id,
      gatewayCustomerId,
      paymentMethod,
    ])
    await lead(api, dueNow())
    expect(await billing.stateOf(id)).toBe('paused')
    expect(brief(await register(gatewayCustomerId))).toBe('answered 201')
    expect(await billing.stateOf(id)).toBe('active')
    await lead(api, dueNow())
    expect(await billing.chargesOf(id)).toEqual([1])
  })
})
