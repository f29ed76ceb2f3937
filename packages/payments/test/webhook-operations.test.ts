import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import { createLatch, eventually, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createRelay,
  createWebhookOperations,
  processRuntime,
  SendFailure,
  tellPayment,
  type WebhookOperations,
} from '../src/index.ts'
import { toPayment } from '../src/shared/rows.ts'
import { hookedTransaction } from './hooked-transaction.ts'
import { accountId, call, openShop, type Replica, type Shop } from './shop.ts'

const strangerId = developmentAccounts[1].id

let shop: Shop
let api: Replica
let webhooks: WebhookOperations

beforeEach(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
  webhooks = createWebhookOperations(api.deps)
})
afterEach(() => shop.close())

async function set(url: string, rotateSecret = false, key: string = randomUUID(), account = accountId) {
  const result = await webhooks.setEndpoint(call(key, { url, rotateSecret }, account), { url, rotateSecret })
  if (result.kind !== 'answered') throw new Error(`refused: ${JSON.stringify(result)}`)
  const { status, body } = result.answer
  return { status, ...(JSON.parse(body) as { url: string; secret: string | null }) }
}

function stored() {
  return shop.sql<{ url: string; secret: string; previous_secret: string | null }>(
    'SELECT url, secret, previous_secret FROM webhook_endpoints',
  )
}

describe('the endpoint', () => {
  it('is created with a secret, changed without one, and rotated so that the old secret signs on', async () => {
    const created = await set('https://shop.example/a')
    expect(created).toMatchObject({ status: 201, secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) })
    expect(await set('https://shop.example/b')).toMatchObject({ status: 200, secret: null })
    const rotated = await set('https://shop.example/b', true)
    expect(rotated.secret).not.toBe(created.secret)
    expect(await stored()).toEqual([
      { url: 'https://shop.example/b', secret: rotated.secret, previous_secret: created.secret },
    ])
  })

  it('is created once by ten copies of one request, and all of them receive the same secret', async () => {
    const key = randomUUID()
    const answers = valuesOf(await raceCopies(10, () => set('https://shop.example', false, key)))
    expect(new Set(answers.map(({ secret }) => secret)).size).toBe(1)
    expect(await stored()).toMatchObject([{ secret: answers[0]?.secret }])
  })

  it('stores its secrets in its own row alone: a recorded answer has none, and a retry still shows it', async () => {
    const key = randomUUID()
    const created = await set('https://shop.example', false, key)
    const rotated = await set('https://shop.example', true)
    for (const { secret } of [created, rotated]) {
      expect(secret).toMatch(/^whsec_/)
      const found = await shop.sql(`SELECT 1 FROM idempotency_keys WHERE answer_body LIKE '%' || $1 || '%'`, [secret])
      expect(found).toEqual([])
    }
    // It still signs, as the previous one.
    expect(await set('https://shop.example', false, key)).toEqual(created)
    await set('https://shop.example', true)
    expect(await set('https://shop.example', false, key)).toEqual({ ...created, secret: null })
  })

  it('shows in a retry the secret that an earlier version recorded with its answer', async () => {
    const key = randomUUID()
    const created = await set('https://shop.example', false, key)
    await shop.sql('ALTER TABLE idempotency_keys DISABLE TRIGGER idempotency_keys_answer_stays')
    await shop.sql(`UPDATE idempotency_keys SET answer_body = $1`, [JSON.stringify(created)])
    await set('https://shop.example', true)
    await set('https://shop.example', true)
    expect(await set('https://shop.example', false, key)).toEqual(created)
  })

  it('is shown without any secret, and to its own account alone', async () => {
    await set('https://shop.example', true)
    const endpoint = { url: 'https://shop.example', createdAt: expect.any(Date), updatedAt: expect.any(Date) }
    expect(await webhooks.findEndpoint(accountId)).toEqual(endpoint)
    expect(await webhooks.findEndpoint(strangerId)).toBeNull()
  })
})

/** A payment whose webhook was given up. */
async function deadDelivery(): Promise<string> {
  await set('https://shop.example')
  await api.pay(await api.createOrder())
  await relay(() => Promise.reject(new SendFailure('HTTP 500', { isPermanent: true })))
  const [row] = await shop.sql<{ id: string }>(`SELECT id FROM outbox WHERE dead_at IS NOT NULL`)
  if (!row) throw new Error('nothing was given up')
  return row.id
}

function relay(send: (message: { id: string }) => Promise<void>) {
  const { database } = api
  return createRelay({
    database,
    runtime: processRuntime,
    channel: 'webhook',
    send,
    sendDeadlineMs: 5_000,
    leaseMs: 60_000,
    reportFault: () => undefined,
  })()
}

describe('a delivery that was given up', () => {
  it('is listed as dead, replayed under its old id, and then delivered', async () => {
    const id = await deadDelivery()
    const page = { limit: 10, after: null }
    expect((await webhooks.listDeliveries(accountId, { ...page, state: 'dead' })).items).toMatchObject([
      { id, topic: 'payment.succeeded', state: 'dead', attempts: 1, lastError: 'HTTP 500', nextAttemptAt: null },
    ])
    const result = await webhooks.replayDelivery(call(randomUUID(), { id }), id)
    expect(result).toMatchObject({ kind: 'answered', answer: { status: 200 } })
    expect((await webhooks.listDeliveries(accountId, { ...page, state: 'pending' })).items).toMatchObject([
      { id, state: 'pending', attempts: 0, deadAt: null },
    ])
    const sent: string[] = []
    expect(await relay(async (message) => void sent.push(message.id))).toMatchObject({ result: 'sent' })
    expect(sent).toEqual([id])
    expect((await webhooks.listDeliveries(accountId, { ...page, state: 'delivered' })).items).toMatchObject([{ id }])
    expect((await webhooks.listDeliveries(accountId, { ...page, state: 'dead' })).items).toEqual([])
  })

  it('is replayed once by several requests at once; a pending or delivered one is not replayed', async () => {
    const id = await deadDelivery()
    const replay = () => webhooks.replayDelivery(call(randomUUID(), { id }), id)
    const results = valuesOf(await raceCopies(5, replay)).map((result) =>
      result.kind === 'refused' ? result.refusal.code : result.kind,
    )
    expect(results.sort()).toEqual(['answered', ...Array(4).fill('webhook-delivery-not-dead')])
    await relay(async () => undefined)
    expect(await replay()).toMatchObject({ refusal: { code: 'webhook-delivery-not-dead' } })
  })

  it('is replayed once, also when a second request arrives before the first one has committed', async () => {
    const id = await deadDelivery()
    const [hasRead, goOn] = [createLatch('the first has read'), createLatch('the first goes on')]
    const first = await shop.replica('replay-1', {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text) => {
            if (!text.includes('FROM outbox')) return
            hasRead.open()
            await goOn.wait()
          },
        }),
      }),
    })
    const second = await shop.replica('replay-2')
    const replay = ({ deps }: Replica) => createWebhookOperations(deps).replayDelivery(call(randomUUID(), { id }), id)
    const replayed = replay(first)
    await hasRead.wait()
    const refused = replay(second)
    await eventually('the second waits for the row', async () => {
      const waiting = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'replay-2' AND wait_event_type = 'Lock'`
      return (await shop.sql(waiting)).length > 0
    })
    goOn.open()
    expect(await replayed).toMatchObject({ kind: 'answered' })
    expect(await refused).toMatchObject({ refusal: { code: 'webhook-delivery-not-dead' } })
  })

  it('cannot be seen or replayed by another account', async () => {
    const id = await deadDelivery()
    const page = { limit: 10, after: null, state: null }
    expect((await webhooks.listDeliveries(strangerId, page)).items).toEqual([])
    expect(await webhooks.replayDelivery(call(randomUUID(), { id }, strangerId), id)).toMatchObject({
      refusal: { code: 'webhook-delivery-not-found' },
    })
  })

  it('is not taken from a relay that is sending it', async () => {
    const id = await deadDelivery()
    await webhooks.replayDelivery(call(randomUUID(), { id }), id)
    let during: unknown
    await relay(async () => {
      during = await webhooks.replayDelivery(call(randomUUID(), { id, n: 2 }), id)
    })
    expect(during).toMatchObject({ refusal: { code: 'webhook-delivery-not-dead' } })
    expect(await shop.sql('SELECT 1 FROM outbox WHERE published_at IS NOT NULL')).toHaveLength(1)
  })
})

it('deliveries are listed newest first, page by page', async () => {
  await set('https://shop.example')
  for (let n = 0; n < 3; n++) await api.pay(await api.createOrder())
  const page = { limit: 2, state: null }
  const first = await webhooks.listDeliveries(accountId, { ...page, after: null })
  const second = await webhooks.listDeliveries(accountId, { ...page, after: first.next })
  const ids = [...first.items, ...second.items].map(({ id }) => id)
  expect([first.items.length, second.items.length, second.next]).toEqual([2, 1, null])
  expect(ids).toEqual([...ids].sort().reverse())
})

it('a payment that is still open cannot be announced', async () => {
  await api.pay(await api.createOrder())
  const row = await api.database.client.payment.findFirstOrThrow()
  const open = { ...toPayment(row), state: 'processing' as const }
  await expect(api.database.transaction(async (tx) => tellPayment(api.deps, tx, open))).rejects.toThrow('not settled')
})
