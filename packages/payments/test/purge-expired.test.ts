import { createHash, randomUUID } from 'node:crypto'
import { sql } from '@seatbelt/database'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Purgeable, purgeBatchSize, purgeExpired } from '../src/index.ts'
import { accountId, type Outbox, openOutbox } from './outbox.ts'

let outbox: Outbox

beforeEach(async () => {
  outbox = await openOutbox()
})
afterEach(() => outbox.close())

const purge = (what: Purgeable) => purgeExpired(outbox.database, what)

/** A key, by name: answered so long ago or not yet, and bound to the payment or refund. */
async function key(name: string, { answeredAgo, paymentId, refundId }: KeyRow = {}): Promise<void> {
  const step = refundId === undefined ? 'pay' : 'refund'
  await outbox.sql(
    `INSERT INTO idempotency_keys (account_id, key, fingerprint, payment_id, refund_id, step, answer_status, answer_body, answered_at, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() - $9::interval, now() - interval '90 days')`,
    [
      ...[accountId, name, createHash('sha256').update(name).digest(), paymentId ?? null, refundId ?? null, step],
      ...(answeredAgo ? [201, '{}', answeredAgo] : [null, null, null]),
    ],
  )
}

interface KeyRow {
  readonly answeredAgo?: string
  readonly paymentId?: string
  readonly refundId?: string
}

async function payment(state: 'processing' | 'authorized' | 'succeeded'): Promise<string> {
  const id = randomUUID()
  const orderId = await outbox.order()
  const held = state === 'authorized' ? 'now()' : 'NULL'
  await outbox.sql(
    `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, intent_parameters, goal, state,
                           next_attempt_at, abandon_after, gateway_intent_id, gateway_charge_id, authorized_at, void_at, settled_at)
     VALUES ($1, $2, $3, 1999, 'EUR', 'pm_card_visa', '{}', $4, $5, now(), now(), $6, $7, ${held}, ${held},
             ${state === 'succeeded' ? 'now()' : 'NULL'})`,
    [
      ...[id, accountId, orderId, state === 'authorized' ? 'authorize' : 'charge', state, `pi_${id}`],
      state === 'succeeded' ? `ch_${id}` : null,
    ],
  )
  return id
}

async function refund(state: 'pending' | 'succeeded'): Promise<string> {
  const id = randomUUID()
  const paymentId = await payment('succeeded')
  await outbox.sql(
    `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, state, next_attempt_at, gateway_intent_id,
                          gateway_charge_id, gateway_refund_id, settled_at)
     SELECT $1, account_id, order_id, id, 5, 'EUR', $2, now(), gateway_intent_id, gateway_charge_id, $3,
            ${state === 'succeeded' ? 'now()' : 'NULL'} FROM payments WHERE id = $4`,
    [id, state, `re_${id}`, paymentId],
  )
  return id
}

async function keysLeft(): Promise<string[]> {
  return (await outbox.sql<{ key: string }>('SELECT key FROM idempotency_keys ORDER BY key')).map((row) => row.key)
}

describe('keys', () => {
  it('are deleted a day after their answer, however old they are otherwise', async () => {
    await key('fresh', { answeredAgo: '23 hours 59 minutes' })
    await key('old', { answeredAgo: '24 hours 1 minute' })
    expect(await purge('idempotency-keys')).toBe(1)
    expect(await keysLeft()).toEqual(['fresh'])
  })

  it('are never deleted without an answer', async () => {
    await key('unanswered', { paymentId: await payment('processing') })
    await key('unanswered, though its payment is final', { paymentId: await payment('succeeded') })
    expect(await purge('idempotency-keys')).toBe(0)
    expect(await keysLeft()).toHaveLength(2)
  })

  it('stay while what they started is not final, although their step was answered', async () => {
    const answeredAgo = '3 days'
    await key('authorized', { answeredAgo, paymentId: await payment('authorized') })
    await key('paid', { answeredAgo, paymentId: await payment('succeeded') })
    await key('refund at the bank', { answeredAgo, refundId: await refund('pending') })
    await key('refunded', { answeredAgo, refundId: await refund('succeeded') })
    expect(await purge('idempotency-keys')).toBe(2)
    expect(await keysLeft()).toEqual(['authorized', 'refund at the bank'])
  })
})

describe('messages', () => {
  it('are deleted a week after they were sent; dead and unsent messages stay', async () => {
    const orderId = await outbox.order()
    for (let n = 0; n < 4; n++) await outbox.tell({ orderId })
    const ids = (await outbox.rows()).map(({ id }) => id)
    const at = async (column: string, ago: string, n: number) =>
      outbox.sql(`UPDATE outbox SET ${column} = now() - $1::interval WHERE id = $2`, [ago, ids[n]])
    await at('published_at', '7 days 1 minute', 0)
    await at('published_at', '6 days 23 hours', 1)
    await at('dead_at', '90 days', 2)
    await at('next_attempt_at', '90 days', 3)
    expect(await purge('outbox')).toBe(1)
    expect((await outbox.rows()).map(({ id }) => id).sort()).toEqual(ids.slice(1).sort())
  })
})

describe("the gateway's events", () => {
  it('are deleted after 35 days', async () => {
    await outbox.sql(
      `INSERT INTO gateway_events (id, type, result, received_at) VALUES
       ('evt_old', 't', 'applied', now() - interval '35 days 1 minute'), ('evt_new', 't', 'ignored', now() - interval '34 days')`,
    )
    expect(await purge('gateway-events')).toBe(1)
    expect(await outbox.sql('SELECT id FROM gateway_events')).toEqual([{ id: 'evt_new' }])
  })
})

describe('two copies', () => {
  const manyEvents = (count: number) =>
    outbox.sql(
      `INSERT INTO gateway_events (id, type, result, received_at)
       SELECT 'evt_' || n, 't', 'applied', now() - interval '40 days' FROM generate_series(1, $1) AS n`,
      [count],
    )

  it('do not wait for each other: each skips the rows that the other is deleting', async () => {
    await manyEvents(2 * purgeBatchSize)
    await outbox.database.transaction(async (tx) => {
      const held = await tx.read(sql`
        SELECT id FROM gateway_events ORDER BY received_at LIMIT ${purgeBatchSize} FOR UPDATE`)
      expect(held).toHaveLength(purgeBatchSize)
      expect(await purge('gateway-events')).toBe(purgeBatchSize)
      expect(await purge('gateway-events')).toBe(0)
    })
    expect(await purge('gateway-events')).toBe(purgeBatchSize)
  })

  it('delete each row once between them', async () => {
    await manyEvents(3_000)
    const copy = async () => {
      let deleted = 0
      for (;;) {
        const rows = await purge('gateway-events')
        if (rows === 0) return deleted
        deleted += rows
      }
    }
    const [one, two] = await Promise.all([copy(), copy()])
    expect(one + two).toBe(3_000)
  })
})
