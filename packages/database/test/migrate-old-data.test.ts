import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { databaseOfVersionBefore, freshDatabase, type VersionBefore } from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrate, migrationsDirectory } from '../src/index.ts'

/** A database that has been in use since the first migration, with a payment in every state that there was. */
const account = '00000000-0000-7000-8000-00000000000a'
const paymentStates = ['processing', 'needs_review', 'succeeded', 'declined', 'cancelled'] as const
const idOf = (kind: 'order' | 'payment', state: (typeof paymentStates)[number]) =>
  `00000000-0000-7000-8000-00000000${kind === 'order' ? '01' : '02'}0${paymentStates.indexOf(state)}`

let fresh: Awaited<ReturnType<typeof freshDatabase>>
let folder: string
let client: pg.Client
let before: Record<string, unknown>[]

beforeAll(async () => {
  fresh = await freshDatabase({ template: 'template0' })
  folder = await mkdtemp(join(tmpdir(), 'seatbelt-migrations-'))
  const [first = ''] = (await readdir(migrationsDirectory())).sort()
  await cp(join(migrationsDirectory(), first), join(folder, first), { recursive: true })
  await migrate(fresh.url, folder)
  client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  await fill()
  before = (await client.query('SELECT * FROM payments ORDER BY id')).rows
  await cp(migrationsDirectory(), folder, { recursive: true })
  await migrate(fresh.url, folder)
})
afterAll(async () => {
  await client?.end()
  await fresh?.close()
  await rm(folder, { recursive: true })
})

async function fill(): Promise<void> {
  await client.query("INSERT INTO accounts (id, name) VALUES ($1, 'old')", [account])
  for (const state of paymentStates) await insertPaidOrder(state)
  await client.query(
    `INSERT INTO idempotency_keys (account_id, key, fingerprint, answer_status, answer_body)
     VALUES ($1, 'of-an-order', sha256('x'), 201, '{}')`,
    [account],
  )
}

const orderStates = { succeeded: 'paid', declined: 'pending', cancelled: 'pending' } as const
const isOpen = (state: (typeof paymentStates)[number]) => state === 'processing' || state === 'needs_review'

/** Two days old, with its key: answered where the payment has ended. */
async function insertPaidOrder(state: (typeof paymentStates)[number]): Promise<void> {
  const ids = [idOf('order', state), account]
  await client.query(
    "INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, state) VALUES ($1, $2, 'c', 500, 'EUR', $3)",
    [...ids, isOpen(state) ? 'processing' : orderStates[state as keyof typeof orderStates]],
  )
  await client.query(
    `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, state, decline_code, look_at, wanted_until,
                           leased_until, gateway_intent_id, gateway_charge_id, intent_parameters, created_at, settled_at)
     SELECT $3, $2, $1, 500, 'EUR', 'pm', $4::payment_state, CASE WHEN $4 = 'declined' THEN 'expired_card' END, now(), now(),
            CASE WHEN $4 = 'processing' THEN now() END, 'pi_' || $4, CASE WHEN $4 = 'succeeded' THEN 'ch' END, '{}',
            now() - interval '2 days', CASE WHEN $5 THEN NULL ELSE now() END`,
    [...ids, idOf('payment', state), state, isOpen(state)],
  )
  await client.query(
    `INSERT INTO idempotency_keys (account_id, key, fingerprint, payment_id, answer_status, answer_body)
     SELECT $1, $2, sha256('x'), $3, CASE WHEN $4 THEN NULL ELSE 201 END, CASE WHEN $4 THEN NULL ELSE '{}' END`,
    [account, `of-${state}`, idOf('payment', state), isOpen(state)],
  )
  if (state === 'succeeded')
    await client.query(
      `INSERT INTO transfers (id, payment_id, kind, debit_account, credit_account, amount_minor, currency)
       VALUES (gen_random_uuid(), $1, 'charge', 'gateway', 'merchant', 500, 'EUR')`,
      [idOf('payment', state)],
    )
}

/** Columns that have another name now. */
const renamed = {
  look_at: 'next_attempt_at',
  looks: 'attempts',
  hinted: 'wake_requested',
  wanted_until: 'abandon_after',
} as const

function withNewNames(rows: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  const nameOf = (column: string) => renamed[column as keyof typeof renamed] ?? column
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([column, value]) => [nameOf(column), value])))
}

describe('a database of the first version that is migrated while payments are under way', () => {
  it('keeps every column that it had', async () => {
    const { rows: after } = await client.query('SELECT * FROM payments ORDER BY id')
    expect(after).toMatchObject(withNewNames(before))
    expect(after).toHaveLength(paymentStates.length)
  })

  it('has payments that were to be charged at once, whose step began when they were claimed', async () => {
    const { rows } = await client.query(
      `SELECT DISTINCT goal, refunded_minor, refund_pending_minor, authorized_at, void_at,
              settled_at IS NOT NULL OR step_started_at = created_at AS began FROM payments`,
    )
    const none = { authorized_at: null, void_at: null, refunded_minor: 0, refund_pending_minor: 0 }
    expect(rows).toEqual([{ goal: 'charge', ...none, began: true }])
  })

  it('knows the step of each key, and keeps keys without an answer as long as they have none', async () => {
    const { rows } = await client.query(
      'SELECT key, step, answered_at IS NOT NULL AS answered FROM idempotency_keys ORDER BY key',
    )
    const keys = [
      ...paymentStates.map((state) => ({ key: `of-${state}`, step: 'pay', answered: !isOpen(state) })),
      { key: 'of-an-order', step: 'pay', answered: true },
    ]
    expect(rows).toEqual(keys.sort((one, other) => (one.key < other.key ? -1 : 1)))
  })

  it('can finish what was open: the payment, and the answer of its key', async () => {
    for (const state of ['processing', 'needs_review'] as const) {
      const id = idOf('payment', state)
      await client.query(
        "UPDATE payments SET state = 'succeeded', gateway_charge_id = 'ch_' || id, settled_at = now(), leased_until = NULL WHERE id = $1",
        [id],
      )
      await client.query(
        "UPDATE idempotency_keys SET answer_status = 201, answer_body = '{}', answered_at = now() WHERE payment_id = $1",
        [id],
      )
    }
    const { rows } = await client.query('SELECT 1 FROM idempotency_keys WHERE answered_at IS NULL')
    expect(rows).toEqual([])
  })
})

describe('a database of the version before, with work in every open state', () => {
  const tables = [
    'orders',
    'payments',
    'payment_events',
    'refunds',
    'transfers',
    'idempotency_keys',
    'outbox',
    'gateway_events',
    'event_sections',
    'tiers',
    'seats',
    'holds',
    'seat_claims',
    'bookings',
    'booked_seats',
  ] as const
  let old: VersionBefore
  let filled: Map<string, Record<string, unknown>[]>

  beforeAll(async () => {
    old = await databaseOfVersionBefore({ migrate, migrationsDirectory: migrationsDirectory() })
    await fillEveryState(old)
    filled = await readAll()
    await old.migrate()
  })
  afterAll(() => old?.close())

  async function readAll() {
    const rows = new Map<string, Record<string, unknown>[]>()
    for (const table of tables) rows.set(table, await old.sql<Record<string, unknown>>(`SELECT * FROM ${table}`))
    return rows
  }

  it('had something in each table, and in each open state', async () => {
    for (const table of tables) expect(filled.get(table)?.length, table).toBeGreaterThan(0)
    const states = await old.sql<{ state: string }>('SELECT DISTINCT state FROM payments ORDER BY state')
    expect(states.map(({ state }) => state)).toEqual([
      'processing',
      'succeeded',
      'needs_review',
      'authorized',
      'capturing',
      'voiding',
    ])
  })

  it('loses no row and no value', async () => {
    const migrated = await readAll()
    for (const table of tables) {
      const rows = migrated.get(table) ?? []
      const was = withNewNames(filled.get(table) ?? [])
      expect(rows.length, table).toBe(was.length)
      expect(rows, table).toEqual(expect.arrayContaining(was.map((row) => expect.objectContaining(row))))
    }
  })

  it('has the account of each row, and none for events of the gateway about nothing of ours', async () => {
    for (const table of tables) {
      if (table === 'gateway_events') continue
      const strangers = await old.sql(`SELECT 1 FROM ${table} WHERE account_id IS DISTINCT FROM $1`, [old.accountId])
      expect(strangers, table).toEqual([])
    }
    const events = await old.sql<{ about: string; mine: boolean | null }>(
      `SELECT CASE WHEN payment_id IS NOT NULL THEN 'payment' WHEN refund_id IS NOT NULL THEN 'refund' ELSE 'nothing' END
                AS about, account_id = $1 AS mine
         FROM gateway_events GROUP BY 1, 2 ORDER BY 1`,
      [old.accountId],
    )
    expect(events).toEqual([
      { about: 'nothing', mine: null },
      { about: 'payment', mine: true },
      { about: 'refund', mine: true },
    ])
  })

  it('has no owner of the new kind, and keys of the gateway that are the ids of the rows', async () => {
    for (const table of ['payments', 'refunds'])
      expect(await old.sql(`SELECT DISTINCT owner, gateway_key FROM ${table}`)).toEqual([
        { owner: null, gateway_key: null },
      ])
    expect(await old.sql('SELECT DISTINCT gateway_reference FROM orders')).toEqual([{ gateway_reference: null }])
    expect(await old.sql('SELECT DISTINCT actor FROM payment_events')).toEqual([{ actor: null }])
  })

  it('is protected as before', async () => {
    const refusals = [
      ['DELETE FROM payment_events', 'payment_events_append_only'],
      ['UPDATE transfers SET amount_minor = 1', 'transfers_append_only'],
      ['UPDATE seat_claims SET expires_at = now() WHERE booking_id IS NOT NULL', 'seat_claims_are_kept'],
      ["UPDATE payments SET decline_code = 'x' WHERE state = 'succeeded'", 'payments_final_stays_final'],
    ]
    for (const [statement = '', constraint] of refusals)
      await expect(old.sql(statement), statement).rejects.toMatchObject({ constraint })
  })
})

describe('subscriptions of the version before', () => {
  const pausedAfter = async (strangers: number) => {
    const old = await databaseOfVersionBefore({ migrate, migrationsDirectory: migrationsDirectory() })
    try {
      for (let stranger = 0; stranger < strangers; stranger++)
        await old.sql("INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'stranger')")
      for (const state of ['active', 'past_due', 'cancelled'])
        await old.sql(
          `INSERT INTO subscriptions (id, account_id, customer_id, gateway_customer_id, payment_method, amount_minor,
                                      currency, interval_unit, interval_count, time_zone, anchor, next_due_at, state)
           SELECT gen_random_uuid(), id, 'c', 'cus_1', 'pm', 900, 'EUR', 'month', 1, 'UTC', now(), now(), $1
             FROM accounts ORDER BY name LIMIT 1`,
          [state],
        )
      await old.sql(
        "INSERT INTO webhook_endpoints (account_id, url, secret) SELECT id, 'https://a.example', 's' FROM accounts",
      )
      await old.migrate()
      const paused = "state = 'paused' AND paused_because LIKE '%POST /v1/gateway-customers%'"
      const told = await old.sql<{ subject_id: string }>(
        'SELECT subject_id, topic, channel, payload, id::text FROM outbox',
      )
      const [counts] = await old.sql(
        `SELECT (SELECT count(*)::int FROM gateway_customers) AS proven, count(*) FILTER (WHERE ${paused})::int AS paused,
                count(*) FILTER (WHERE state = 'active')::int AS active FROM subscriptions`,
      )
      return { counts, told }
    } finally {
      await old.close()
    }
  }

  it('stay active in an installation with one account, which owns all customers of the gateway', async () => {
    expect(await pausedAfter(0)).toEqual({ counts: { proven: 1, paused: 0, active: 1 }, told: [] })
  })

  it('pause where a customer may belong to another account, and say what would resume them', async () => {
    const { counts, told } = await pausedAfter(1)
    expect(counts).toEqual({ proven: 0, paused: 1, active: 0 })
    const id = told[0]?.subject_id
    expect(told).toEqual([
      {
        ...{ id: expect.stringMatching(/^01[0-9a-f]{6}-[0-9a-f]{4}-7/), subject_id: id, channel: 'webhook' },
        topic: 'subscription.paused',
        // As the API shows it.
        payload: {
          ...{
            id,
            customerId: 'c',
            gatewayCustomerId: 'cus_1',
            paymentMethod: 'pm',
            amountMinor: 900,
            currency: 'EUR',
          },
          ...{ interval: { unit: 'month', count: 1 }, timeZone: 'UTC', receiptEmail: null, missedPeriods: 'skip' },
          anchor: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/),
          ...{ state: 'paused', pausedBecause: expect.stringContaining('POST /v1/gateway-customers'), nextDueAt: null },
          createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        },
      },
    ])
  })
})

async function fillEveryState(old: VersionBefore): Promise<void> {
  await old.claimPayment()
  const withIntent = async (how: Parameters<VersionBefore['claimPayment']>[0] = {}) => {
    const payment = await old.claimPayment(how)
    await old.storeIntent(payment, `pi_${payment.id}`)
    return payment
  }
  await withIntent()
  await old.giveUp(await withIntent())
  const reviewed = await withIntent()
  await old.sql("UPDATE payments SET state = 'needs_review' WHERE id = $1", [reviewed.id])
  for (const next of [null, 'capture', 'void'] as const) {
    const payment = await withIntent({ capture: 'manual' })
    await old.authorize(payment)
    if (next !== null) await old.endAuthorization(payment, next)
  }
  const paid = await withIntent()
  await old.succeed(paid, `ch_${paid.id}`)
  await old.claimRefund(paid)
  const refunded = await withIntent()
  await old.succeed(refunded, `ch_${refunded.id}`)
  await old.succeedRefund(await old.claimRefund(refunded), `re_${refunded.id}`)
  await old.holdSeats()
  await old.checkOut(await old.holdSeats())
  const hold = await old.holdSeats()
  const checkout = await old.checkOut(hold)
  await old.storeIntent(checkout, `pi_${checkout.id}`)
  await old.book(hold, checkout)
  await old.sql("INSERT INTO gateway_events (id, type, result) VALUES ('evt_other', 'customer.created', 'ignored')")
}
