import type { Gateway } from '@seatbelt/safety'
import { eventually } from '@seatbelt/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { processRuntime, readRun, reconcile } from '../src/index.ts'
import { openReconciler, openStranger, type Stranger } from './reconcile-support.ts'
import { openPaid, refund } from './refund-support.ts'
import { accountId, openShop, type Shop } from './shop.ts'

/**
 * Payments outside of the window. `HISTORY_ROWS=20000,500000` measures from a week to a year, in a minute: some indexes
 * then have one more level, which is 3 %.
 */
const [short = 50_000, long = 120_000] = process.env.HISTORY_ROWS?.split(',').map(Number) ?? []
const window = { payments: 60, refunds: 15 }

let shop: Shop
let stranger: Stranger
beforeAll(async () => {
  shop = await openShop({ latencyMs: 0 })
  stranger = openStranger(shop)
  await fillWindow()
  // Its work would be counted among the run's.
  for (const table of ['orders', 'payments', 'refunds'])
    await shop.sql(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`)
}, 60_000)
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

it('a run reads as many blocks after a long history as after a short one', { timeout: 300_000 }, async () => {
  await addHistory(short)
  const afterShort = await blocksOfRun('worker-1')
  await addHistory(long - short)
  const afterLong = await blocksOfRun('worker-2')
  expect(Math.abs(afterLong / afterShort - 1), `${afterShort} and ${afterLong} blocks`).toBeLessThanOrEqual(0.1)
})

it('a payment that was settled months after it was made is read all the same', async () => {
  await addHistory(1)
  const [late] = await shop.sql<{ orderId: string }>(
    `UPDATE payments SET settled_at = now() - interval '1 hour'
      WHERE id = (SELECT id FROM payments WHERE created_at < now() - interval '60 days' ORDER BY id DESC LIMIT 1)
     RETURNING order_id AS "orderId"`,
  )
  const worker = await shop.replica('worker-3')
  const found = await openReconciler(worker, stranger.gateway).run('report')
  expect(found.about(late?.orderId ?? '')).toMatchObject([{ kind: 'missing', action: 'person' }])
  const { run } = await readRun(worker.database, found.runId)
  expect(run.paymentsRead).toBe(window.payments + 1)
})

it('a page that takes longer than the lease keeps it', async () => {
  const clock = { aheadMs: 0 }
  const monotonicMs = () => processRuntime.monotonicMs() + clock.aheadMs
  const slow = await shop.replica('worker-4', { runtime: { ...processRuntime, monotonicMs } })
  const other = openReconciler(await shop.replica('worker-5'), stranger.gateway)
  const others: string[] = []
  const gateway: Gateway = {
    ...stranger.gateway,
    // The list shows nothing, so that each payment is retrieved, which takes a minute and a half by both clocks.
    listCharges: async () => ({ kind: 'list', items: [], hasMore: false, requestId: null }),
    retrieveIntent: async (intentId) => {
      clock.aheadMs += 90_000
      await shop.sql(`UPDATE reconciliation_runs SET leased_until = leased_until - interval '90 seconds'`)
      others.push((await reconcile(other.deps, { mode: 'report', from: null, to: null })).kind)
      return stranger.gateway.retrieveIntent(intentId)
    },
  }
  await openReconciler(slow, gateway).run('report')
  expect(others.length).toBeGreaterThan(window.payments)
  expect([...new Set(others)]).toEqual(['busy'])
})

async function fillWindow(): Promise<void> {
  const api = await shop.replica('api-1')
  for (let paid = 0; paid < window.payments; paid++) {
    const { paymentId } = await openPaid(api)
    if (paid < window.refunds) await refund(api, paymentId, 1_000)
  }
  await shop.closeReplicas('api')
  // As if an hour had passed. Without triggers, also for the history: they look at each row alone.
  await shop.sql('SET session_replication_role = replica')
  for (const table of ['payments', 'refunds'])
    await shop.sql(`UPDATE ${table} SET settled_at = settled_at - interval '1 hour'`)
}

/** One payment a minute, settled at once, before the time that a run reads; each twentieth with its refund. */
async function addHistory(count: number): Promise<void> {
  await shop.sql(
    `WITH made AS (
       SELECT n, to_timestamp(ms / 1000) AS at,
              (lpad(to_hex(ms), 12, '0') || '7000' || '8' || substr(md5($1::int || ':' || n), 1, 15))::uuid AS id
         FROM generate_series(1, $1::int) AS n,
              LATERAL (SELECT (extract(epoch FROM now() - interval '60 days') * 1000)::bigint - n * 60000::bigint AS ms)),
     ordered AS (
       INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, state, created_at)
       SELECT id, $2, 'customer-1', 4200, 'EUR', 'paid', at FROM made),
     paid AS (
       INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, intent_parameters, state,
                             gateway_intent_id, gateway_charge_id, next_attempt_at, abandon_after, created_at,
                             step_started_at, settled_at)
       SELECT id, $2, id, 4200, 'EUR', 'pm_card_visa', '{}', 'succeeded', 'pi_' || md5(id::text),
              'ch_' || md5(id::text), at, at, at, at, at
         FROM made)
     INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, state, gateway_intent_id,
                          gateway_charge_id, gateway_refund_id, next_attempt_at, created_at, settled_at)
     SELECT id, $2, id, id, 100, 'EUR', 'succeeded', 'pi_' || md5(id::text), 'ch_' || md5(id::text),
            're_' || md5(id::text), at, at, at
       FROM made WHERE n % 20 = 0`,
    [count, accountId],
  )
  await shop.sql('VACUUM ANALYZE orders, payments, refunds')
}

/** Blocks of tables and indexes that a whole run reads, from the cache or the disk. */
async function blocksOfRun(name: string): Promise<number> {
  const before = await blocksRead()
  const worker = await shop.replica(name)
  const { runId, standing } = await openReconciler(worker, stranger.gateway).run('report')
  const { run } = await readRun(worker.database, runId)
  expect(standing).toBe(0)
  expect(run).toMatchObject({
    chargesSeen: window.payments,
    paymentsRead: window.payments,
    refundsRead: window.refunds,
  })
  await shop.closeReplicas(name)
  // A backend reports what it has read when it ends.
  const backends = () => shop.sql('SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [name])
  await eventually('the backends of the run have ended', async () => (await backends()).length === 0, {
    boundMs: 30_000,
  })
  return (await blocksRead()) - before
}

async function blocksRead(): Promise<number> {
  await shop.sql('SELECT pg_stat_force_next_flush()')
  const [row] = await shop.sql<{ blocks: number }>(
    `SELECT sum(heap_blks_read + heap_blks_hit + COALESCE(idx_blks_read + idx_blks_hit, 0))::int AS blocks
       FROM pg_statio_user_tables`,
  )
  return row?.blocks ?? 0
}
