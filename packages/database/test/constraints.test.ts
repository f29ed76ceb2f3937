import { randomUUID } from 'node:crypto'
import { freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** The database refuses these from any client, also from a person in psql. */
let fresh: Awaited<ReturnType<typeof freshDatabase>>
let client: pg.Client
const ids = { account: randomUUID(), other: randomUUID(), order: '', payment: '' }

beforeAll(async () => {
  fresh = await freshDatabase()
  client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  await client.query("INSERT INTO accounts (id, name) VALUES ($1, 'one'), ($2, 'two')", [ids.account, ids.other])
})
afterAll(async () => {
  await client?.end()
  await fresh?.close()
})
beforeEach(async () => {
  ids.order = randomUUID()
  ids.payment = randomUUID()
  await insertOrder(ids.order)
})

function insertOrder(
  id: string,
  {
    amount = 500,
    currency = 'EUR',
    gatewayReference = null,
  }: { amount?: number; currency?: string; gatewayReference?: string | null } = {},
) {
  return client.query(
    `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, gateway_reference)
     VALUES ($1, $2, 'c', $3, $4, $5)`,
    [id, ids.account, amount, currency, gatewayReference],
  )
}

function insertPayment(overrides: Record<string, unknown> = {}) {
  const row = {
    ...{ id: ids.payment, account_id: ids.account, order_id: ids.order, amount_minor: 500, currency: 'EUR' },
    ...{ payment_method: 'pm', intent_parameters: '{}', next_attempt_at: new Date(), abandon_after: new Date() },
    ...overrides,
  }
  const columns = Object.keys(row)
  const values = columns.map((_, at) => `$${at + 1}`)
  return client.query(`INSERT INTO payments (${columns}) VALUES (${values})`, Object.values(row))
}

/** The columns of an authorized payment, besides its state. */
function onHold() {
  return { gateway_intent_id: randomUUID(), authorized_at: new Date(), void_at: new Date() }
}

async function refusalOf(query: Promise<unknown>): Promise<string | undefined> {
  return query.then(
    () => undefined,
    (error: pg.DatabaseError) => error.constraint ?? error.message,
  )
}

describe('orders', () => {
  it.each([{ amount: 0 }, { amount: -1 }, { amount: 1_000_000_000 }])(
    'of $amount minor units are refused',
    async ({ amount }) => {
      expect(await refusalOf(insertOrder(randomUUID(), { amount }))).toBe('orders_amount_is_chargeable')
    },
  )

  it('in a currency that is no upper-case code are refused', async () => {
    expect(await refusalOf(insertOrder(randomUUID(), { currency: 'eur' }))).toBe('orders_currency_is_a_code')
  })

  it('do not change without the next version', async () => {
    const change = (sql: string) => refusalOf(client.query(`UPDATE orders SET ${sql} WHERE id = $1`, [ids.order]))
    expect(await change("state = 'paid'")).toBe('orders_version_grows')
    expect(await change("state = 'paid', version = version + 2")).toBe('orders_version_grows')
    expect(await change("state = 'paid', version = version + 1")).toBeUndefined()
  })

  it('keep what the keys of the gateway come from', async () => {
    const change = (value: string) =>
      refusalOf(
        client.query('UPDATE orders SET gateway_reference = $2, version = version + 1 WHERE id = $1', [
          ids.order,
          value,
        ]),
      )
    expect(await change('another')).toBe('orders_gateway_reference_stays')
    const id = randomUUID()
    await insertOrder(id, { gatewayReference: 'its own' })
    const same = "UPDATE orders SET gateway_reference = 'its own', version = version + 1 WHERE id = $1"
    expect(await refusalOf(client.query(same, [id]))).toBeUndefined()
  })
})

describe('payments', () => {
  it('of one order: one at a time may be live, any number may have ended', async () => {
    const declined = { state: 'declined', decline_code: 'x', settled_at: new Date() }
    await insertPayment({ id: randomUUID(), ...declined })
    await insertPayment({ id: randomUUID(), ...declined })
    await insertPayment()
    expect(await refusalOf(insertPayment({ id: randomUUID() }))).toBe('payments_one_live_per_order')
    const succeeded = {
      state: 'succeeded',
      settled_at: new Date(),
      gateway_intent_id: randomUUID(),
      gateway_charge_id: 'ch',
    }
    expect(await refusalOf(insertPayment({ id: randomUUID(), ...succeeded }))).toBe('payments_one_live_per_order')
  })

  it.each([
    { what: 'another amount than the order', row: { amount_minor: 499 }, by: 'payments_take_the_orders_amount' },
    { what: 'another currency than the order', row: { currency: 'USD' }, by: 'payments_take_the_orders_amount' },
    {
      what: 'success without a charge',
      row: { state: 'succeeded', settled_at: new Date() },
      by: 'payments_succeeded_has_charge',
    },
    {
      what: 'a charge without an intent',
      row: { state: 'succeeded', settled_at: new Date(), gateway_charge_id: 'ch' },
      by: 'payments_charge_has_intent',
    },
    {
      what: 'a decline without evidence',
      row: { state: 'declined', settled_at: new Date() },
      by: 'payments_declined_has_code',
    },
    { what: 'an end without its time', row: { state: 'cancelled' }, by: 'payments_settled_when_final' },
    {
      what: 'a lease on what has ended',
      row: { state: 'cancelled', settled_at: new Date(), leased_until: new Date() },
      by: 'payments_leased_only_while_open',
    },
  ])('with $what are refused', async ({ row, by }) => {
    expect(await refusalOf(insertPayment(row))).toBe(by)
  })

  it.each([
    { state: 'processing', goal: 'capture' },
    { state: 'processing', goal: 'void' },
    { state: 'authorized', goal: 'charge' },
    { state: 'capturing', goal: 'void' },
    { state: 'voiding', goal: 'capture' },
    { state: 'needs_review', goal: 'refund' },
  ])('that are $state cannot be on their way to $goal', async ({ state, goal }) => {
    const hold = state === 'processing' || state === 'needs_review' ? {} : onHold()
    expect(await refusalOf(insertPayment({ ...hold, state, goal }))).toBe('payments_goal_fits_state')
  })

  it.each([
    { state: 'authorized', goal: 'authorize' },
    { state: 'capturing', goal: 'capture' },
    { state: 'voiding', goal: 'void' },
    { state: 'voided', goal: 'void', settled_at: new Date() },
  ])('that are $state name the intent of their hold, since when it is there, and when it ends', async (row) => {
    const hold = onHold()
    for (const missing of Object.keys(hold))
      expect(await refusalOf(insertPayment({ ...hold, ...row, [missing]: null })), missing).toBe(
        'payments_authorized_has_intent',
      )
    expect(await refusalOf(insertPayment({ ...hold, ...row }))).toBeUndefined()
  })

  it.each(['authorized', 'capturing', 'voiding'])('that are %s are live: no other payment may begin', async (state) => {
    const goals: Record<string, string> = { authorized: 'authorize', capturing: 'capture', voiding: 'void' }
    await insertPayment({ ...onHold(), state, goal: goals[state] })
    expect(await refusalOf(insertPayment({ id: randomUUID() }))).toBe('payments_one_live_per_order')
  })

  it('that were voided let another one begin, and have no owner', async () => {
    const voided = { ...onHold(), state: 'voided', goal: 'void', settled_at: new Date() }
    await insertPayment({ ...voided, id: randomUUID() })
    expect(await refusalOf(insertPayment())).toBeUndefined()
    expect(await refusalOf(insertPayment({ ...voided, id: randomUUID(), leased_until: new Date() }))).toBe(
      'payments_leased_only_while_open',
    )
    const waiting = { ...onHold(), state: 'authorized', goal: 'authorize', leased_until: new Date() }
    expect(await refusalOf(insertPayment({ ...waiting, id: randomUUID() }))).toBe('payments_leased_only_while_open')
  })

  it('return what they took and no more, also in parts and while refunds are under way', async () => {
    const change = (sql: string) => refusalOf(client.query(`UPDATE payments SET ${sql} WHERE id = $1`, [ids.payment]))
    const succeeded = { state: 'succeeded', settled_at: new Date(), gateway_intent_id: randomUUID() }
    await insertPayment({ ...succeeded, gateway_charge_id: 'ch' })
    expect(await change('refund_pending_minor = 300')).toBeUndefined()
    expect(await change('refunded_minor = 201')).toBe('payments_refunds_within_payment')
    expect(await change('refunded_minor = 500, refund_pending_minor = 0')).toBeUndefined()
    expect(await change('refund_pending_minor = 1')).toBe('payments_refunds_within_payment')
    for (const negative of ['refunded_minor = -1', 'refund_pending_minor = -1'])
      expect(await change(negative), negative).toBe('payments_refunds_within_payment')
  })

  it('that took nothing give nothing back', async () => {
    await insertPayment()
    const change = client.query('UPDATE payments SET refund_pending_minor = 1 WHERE id = $1', [ids.payment])
    expect(await refusalOf(change)).toBe('payments_refunds_within_payment')
  })

  it("for another account's order are refused", async () => {
    expect(await refusalOf(insertPayment({ account_id: ids.other }))).toBe('payments_account_id_order_id_fkey')
  })

  it('share no gateway intent', async () => {
    const intent = randomUUID()
    await insertPayment({ gateway_intent_id: intent })
    const order = randomUUID()
    await insertOrder(order)
    const second = insertPayment({ id: randomUUID(), order_id: order, gateway_intent_id: intent })
    expect(await refusalOf(second)).toBe('payments_gateway_intent_id_key')
  })

  it('that have ended never change, and no stored intent, amount or generation is taken back', async () => {
    const change = (sql: string) => refusalOf(client.query(`UPDATE payments SET ${sql} WHERE id = $1`, [ids.payment]))
    await insertPayment({ gateway_intent_id: randomUUID(), generation: 3 })
    const rewrites = ["gateway_intent_id = 'x'", 'generation = 2', 'amount_minor = 1', 'gateway_intent_id = NULL']
    for (const rewrite of [...rewrites, "gateway_key = 'another'"])
      expect(await change(rewrite), rewrite).toBe('payments_final_stays_final')
    expect(await change('owner = gen_random_uuid(), generation = 4')).toBeUndefined()
    expect(await change("state = 'cancelled', settled_at = now()")).toBeUndefined()
    expect(await change("state = 'processing', settled_at = NULL")).toBe('payments_final_stays_final')
  })

  it('that have ended let refunds move their amounts, and nothing beside these', async () => {
    const change = (sql: string) => refusalOf(client.query(`UPDATE payments SET ${sql} WHERE id = $1`, [ids.payment]))
    const succeeded = { state: 'succeeded', settled_at: new Date(), gateway_intent_id: randomUUID() }
    await insertPayment({ ...succeeded, gateway_charge_id: 'ch' })
    expect(await change('refunded_minor = 100, refund_pending_minor = 100')).toBeUndefined()
    for (const rewrite of [
      "state = 'voided'",
      'generation = generation + 1',
      'next_attempt_at = now()',
      "goal = 'void'",
    ])
      expect(await change(`refunded_minor = 200, ${rewrite}`), rewrite).toBe('payments_final_stays_final')
  })
})

describe('idempotency keys', () => {
  const insertKey = (key: string, columns = 'answer_status, answer_body', values = "201, '{}'") =>
    client.query(
      `INSERT INTO idempotency_keys (account_id, key, fingerprint, ${columns}) VALUES ($1, $2, sha256('x'), ${values})`,
      [ids.account, key],
    )

  it('have a whole answer or none, and without one an intent', async () => {
    expect(await refusalOf(insertKey(randomUUID(), 'answer_status', '201'))).toBe('idempotency_keys_answer_is_whole')
    expect(await refusalOf(insertKey(randomUUID(), 'answered_at', 'NULL'))).toBe('idempotency_keys_target_or_answer')
  })

  it('without an answer were answered at no time, and with one at some time', async () => {
    expect(await refusalOf(insertKey(randomUUID(), 'answer_status, answer_body, answered_at', "201, '{}', NULL"))).toBe(
      'idempotency_keys_answer_is_whole',
    )
    await insertPayment()
    expect(await refusalOf(insertKey(randomUUID(), 'payment_id, answered_at', `'${ids.payment}', now()`))).toBe(
      'idempotency_keys_answer_is_whole',
    )
  })

  it('start one step of one thing, and each step of a payment is started by one key', async () => {
    await insertPayment()
    const start = (step: string, column = 'payment_id', id = ids.payment) =>
      refusalOf(insertKey(randomUUID(), `step, ${column}, answered_at`, `'${step}', '${id}', NULL`))
    for (const step of ['pay', 'capture', 'void']) {
      expect(await start(step), step).toBeUndefined()
      expect(await start(step), step).toBe('idempotency_keys_account_id_payment_id_step_key')
    }
    expect(await start('refund')).toBe('idempotency_keys_step_is_known')
    expect(await start('capture', 'refund_id')).toBe('idempotency_keys_step_is_known')
    expect(await start('settle')).toBe('idempotency_keys_step_is_known')
  })

  it('keep the answer that was recorded', async () => {
    const key = randomUUID()
    await insertKey(key)
    const rewrite = client.query("UPDATE idempotency_keys SET answer_body = 'other' WHERE key = $1", [key])
    expect(await refusalOf(rewrite)).toBe('idempotency_keys_answer_stays')
  })

  it('go on to another refund of their payment only after the first has failed', async () => {
    await insertPayment()
    const insertRefund = async (payment: string | null = ids.payment) => {
      const id = randomUUID()
      const origin = payment === null ? 'reconciliation' : 'merchant'
      await client.query(
        `INSERT INTO refunds (id, account_id, order_id, payment_id, origin, amount_minor, currency, next_attempt_at,
                              gateway_intent_id, gateway_charge_id)
         VALUES ($1, $2, $3, $4, $5, 5, 'EUR', now(), 'pi', $6)`,
        [id, ids.account, ids.order, payment, origin, randomUUID()],
      )
      return id
    }
    const fail = (id: string) =>
      client.query("UPDATE refunds SET state = 'failed', failure_code = 'x', settled_at = now() WHERE id = $1", [id])
    const [first, next, repair] = [await insertRefund(), await insertRefund(), await insertRefund(null)]
    const key = randomUUID()
    await insertKey(key, 'step, refund_id, answered_at', `'refund', '${first}', NULL`)
    const goOn = (to: string) =>
      refusalOf(client.query('UPDATE idempotency_keys SET refund_id = $2 WHERE key = $1', [key, to]))
    expect(await goOn(next)).toBe('idempotency_keys_answer_stays')
    await fail(first)
    expect(await goOn(repair)).toBe('idempotency_keys_answer_stays')
    expect(await goOn(next)).toBeUndefined()
    await fail(next)
    expect(await goOn(first)).toBe('idempotency_keys_answer_stays')
  })

  it('are each written once per account', async () => {
    const key = randomUUID()
    await insertKey(key)
    expect(await refusalOf(insertKey(key))).toBe('idempotency_keys_pkey')
  })
})

describe('refunds', () => {
  it("never change what they return, nor the gateway's key", async () => {
    await insertPayment()
    const id = randomUUID()
    await client.query(
      `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, next_attempt_at,
                            gateway_intent_id, gateway_charge_id)
       VALUES ($1, $2, $3, $4, 500, 'EUR', now(), 'pi', 'ch')`,
      [id, ids.account, ids.order, ids.payment],
    )
    const change = (sql: string) => refusalOf(client.query(`UPDATE refunds SET ${sql} WHERE id = $1`, [id]))
    for (const rewrite of ['amount_minor = 1', "gateway_charge_id = 'x'", "gateway_key = 'x'", 'generation = 0'])
      expect(await change(rewrite), rewrite).toBe('refunds_final_stays_final')
    expect(await change('owner = gen_random_uuid(), generation = 2')).toBeUndefined()
  })
})

describe('refunds outside of the gateway', () => {
  const insertOutside = (columns: Record<string, unknown>) => {
    const row = {
      ...{
        id: randomUUID(),
        account_id: ids.account,
        order_id: ids.order,
        payment_id: ids.payment,
        origin: 'operator',
      },
      ...{
        amount_minor: 5,
        currency: 'EUR',
        next_attempt_at: new Date(),
        gateway_intent_id: 'pi',
        gateway_charge_id: 'ch',
      },
      ...columns,
    }
    const names = Object.keys(row)
    const values = names.map((_, at) => `$${at + 1}`)
    return refusalOf(client.query(`INSERT INTO refunds (${names}) VALUES (${values})`, Object.values(row)))
  }
  const settled = { state: 'succeeded', settled_at: new Date(), reason: 'by bank transfer' }

  it('are settled, have a reason, and name no refund of the gateway', async () => {
    await insertPayment()
    const refusal = 'refunds_by_operators_are_settled'
    expect(await insertOutside({ reason: 'by bank transfer' })).toBe(refusal)
    expect(await insertOutside({ ...settled, reason: null })).toBe(refusal)
    expect(await insertOutside({ ...settled, gateway_refund_id: randomUUID() })).toBe(refusal)
    expect(await insertOutside({ ...settled, origin: 'merchant' })).toBe('refunds_succeeded_has_evidence')
    expect(await insertOutside(settled)).toBeUndefined()
  })
})

describe('transfers and histories', () => {
  const insertTransfer = (debit: string, credit: string, amount = 500, account = ids.account) =>
    client.query(
      `INSERT INTO transfers (id, account_id, payment_id, kind, debit_account, credit_account, amount_minor, currency)
       VALUES (gen_random_uuid(), $1, $2, 'charge', $3, $4, $5, 'EUR')`,
      [account, ids.payment, debit, credit, amount],
    )
  const insertHistory = (account = ids.account) =>
    client.query(
      "INSERT INTO payment_events (account_id, payment_id, event, by, generation) VALUES ($1, $2, 'e', 'b', 1)",
      [account, ids.payment],
    )

  it('move a positive amount between two accounts, once per payment', async () => {
    await insertPayment()
    expect(await refusalOf(insertTransfer('a', 'b', 0))).toBe('transfers_amount_is_positive')
    expect(await refusalOf(insertTransfer('a', 'a'))).toBe('transfers_between_two_accounts')
    await insertTransfer('a', 'b')
    expect(await refusalOf(insertTransfer('a', 'b'))).toBe('transfers_one_charge_per_payment')
  })

  it('belong to the account of their payment', async () => {
    await insertPayment()
    expect(await refusalOf(insertTransfer('a', 'b', 500, ids.other))).toBe('transfers_account_id_payment_id_fkey')
    expect(await refusalOf(insertHistory(ids.other))).toBe('payment_events_account_id_payment_id_fkey')
  })

  it('are never rewritten', async () => {
    await insertPayment()
    await insertTransfer('a', 'b')
    await insertHistory()
    const where = `WHERE payment_id = '${ids.payment}'`
    expect(await refusalOf(client.query(`UPDATE transfers SET amount_minor = 1 ${where}`))).toBe(
      'transfers_append_only',
    )
    expect(await refusalOf(client.query(`DELETE FROM transfers ${where}`))).toBe('transfers_append_only')
    expect(await refusalOf(client.query(`DELETE FROM payment_events ${where}`))).toBe('payment_events_append_only')
    expect(await refusalOf(client.query('TRUNCATE transfers'))).toBe('transfers_never_emptied')
  })
})
