import { createHash, randomUUID } from 'node:crypto'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { freshDatabase } from './fresh-database.ts'

export interface VersionBeforeOptions {
  /** Brings a database to the schema of a folder of migrations: `migrate` of packages/database. */
  readonly migrate: (url: string, directory: string) => Promise<unknown>
  readonly migrationsDirectory: string
}

/** The migration that the version before did not have. */
const firstUnknown = '20261129000000_core'

/** A database with the schema of the version before, to be filled with what that version writes, and then migrated. */
export async function databaseOfVersionBefore(options: VersionBeforeOptions): Promise<VersionBefore> {
  const { migrate, migrationsDirectory } = options
  const fresh = await freshDatabase({ template: 'template0' })
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-version-before-'))
  for (const name of await readdir(migrationsDirectory))
    if (name < firstUnknown) await cp(join(migrationsDirectory, name), join(folder, name), { recursive: true })
  await migrate(fresh.url, folder)
  await rm(folder, { recursive: true })
  const client = new Client({ connectionString: fresh.url })
  await client.connect()
  const account = randomUUID()
  await client.query("INSERT INTO accounts (id, name) VALUES ($1, 'of the version before')", [account])
  return new VersionBefore(fresh.url, client, account, {
    migrate: async () => void (await migrate(fresh.url, migrationsDirectory)),
    close: () => fresh.close(),
  })
}

/** A payment as the version before claimed it. */
export interface PaymentBefore {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: 'EUR'
  readonly paymentMethod: string
  readonly goal: 'charge' | 'authorize'
  /** What was sent to the gateway to create its intent, card and capture mode included, and under which key. */
  readonly intentParameters: Readonly<Record<string, unknown>>
  readonly createKey: string
  /** The client's, and the fingerprint of its request. */
  readonly idempotencyKey: string
  readonly fingerprint: Buffer
}

export interface RefundBefore {
  readonly id: string
  readonly paymentId: string
  readonly amountMinor: number
  /** Under which key the gateway was asked. */
  readonly refundKey: string
  readonly idempotencyKey: string
  readonly fingerprint: Buffer
}

export interface HoldBefore {
  readonly id: string
  readonly eventId: string
  readonly customerId: string
  readonly seatIds: readonly string[]
}

const amountMinor = 4_200
const currency = 'EUR'
const by = 'version-before'
const leaseSeconds = 60

/**
 * Writes what commit f1ca5d7 wrote, step by step, with its statements. Call `migrate` when everything is written.
 *
 * The gateway is not asked: where a step needs the id of an intent, a charge or a refund, the caller brings it. Owners
 * keep their leases until `endLeases`.
 */
export class VersionBefore {
  readonly url: string
  readonly accountId: string
  readonly #client: Client
  readonly #steps: { readonly migrate: () => Promise<void>; readonly close: () => Promise<void> }

  constructor(
    url: string,
    client: Client,
    accountId: string,
    steps: { readonly migrate: () => Promise<void>; readonly close: () => Promise<void> },
  ) {
    this.url = url
    this.accountId = accountId
    this.#client = client
    this.#steps = steps
  }

  /** Creates an order and claims its payment. No intent is stored yet. */
  async claimPayment({ capture = 'automatic', paymentMethod = 'pm_card_visa' } = {}): Promise<PaymentBefore> {
    const orderId = await this.#insertOrder('merchant')
    const goal = capture === 'manual' ? 'authorize' : 'charge'
    return this.#claim({ orderId, goal, paymentMethod, step: 'pay' })
  }

  /** Stores the gateway's intent of a claimed payment. */
  async storeIntent({ id }: PaymentBefore, gatewayIntentId: string): Promise<void> {
    await this.sql(
      `WITH stored AS (
         UPDATE payments SET gateway_intent_id = $2 WHERE id = $1 AND gateway_intent_id IS NULL RETURNING id, generation)
       INSERT INTO payment_events (payment_id, event, by, generation, gateway_request_id, detail)
       SELECT id, 'intent-created', $3, generation, 'req_1', $2 FROM stored`,
      [id, gatewayIntentId, by],
    )
  }

  /** Records that the amount is on hold at the gateway. The intent must be stored. */
  async authorize(payment: PaymentBefore): Promise<void> {
    await this.sql(
      `UPDATE payments
          SET state = 'authorized', leased_until = NULL, hinted = false, decline_code = NULL, declined_by = NULL,
              authorized_at = clock_timestamp(), void_at = step_started_at + make_interval(days => 4)
        WHERE id = $1 AND goal = 'authorize'`,
      [payment.id],
    )
    await this.#history(payment.id, 1, 'settled', 'authorized')
  }

  /** Claims the capture or the void of an authorized payment. */
  async endAuthorization(payment: PaymentBefore, goal: 'capture' | 'void'): Promise<void> {
    await this.sql(
      `UPDATE payments
          SET state = $2::payment_state, goal = $3, generation = generation + 1,
              leased_until = clock_timestamp() + make_interval(secs => $4), look_at = clock_timestamp(), looks = 0,
              step_started_at = clock_timestamp(), hinted = false
        WHERE id = $1 AND state = 'authorized'`,
      [payment.id, goal === 'capture' ? 'capturing' : 'voiding', goal, leaseSeconds],
    )
    await this.#history(payment.id, 2, 'claimed', goal)
    await this.#bindKey({ step: goal, paymentId: payment.id, refundId: null })
  }

  /** Settles a payment whose intent is stored: paid, booked, published, answered. */
  async succeed(payment: PaymentBefore, gatewayChargeId: string): Promise<void> {
    const { id, orderId, accountId } = payment
    await this.sql(
      `UPDATE payments SET state = 'succeeded', leased_until = NULL, settled_at = clock_timestamp(),
              gateway_charge_id = $2 WHERE id = $1`,
      [id, gatewayChargeId],
    )
    await this.sql("UPDATE orders SET state = 'paid', version = version + 1 WHERE id = $1", [orderId])
    await this.#transfer(payment.id, null, 'charge')
    await this.#history(id, 1, 'settled', 'succeeded')
    await this.sql(
      `INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload)
       VALUES ($1, $2, 'webhook', 'payment.succeeded', $3, NULL, $4)`,
      [randomUUID(), accountId, id, { id, state: 'succeeded' }],
    )
    await this.sql(
      `UPDATE idempotency_keys SET answer_status = 201, answer_body = '{}', answered_at = clock_timestamp()
        WHERE payment_id = $1 AND step = 'pay'`,
      [id],
    )
    await this.sql(
      "INSERT INTO gateway_events (id, type, payment_id, result) VALUES ($1, 'payment_intent.succeeded', $2, 'noted')",
      [`evt_${id}`, id],
    )
  }

  /** Leaves a payment to recovery, after an unknown outcome. */
  async giveUp({ id }: PaymentBefore): Promise<void> {
    await this.sql(
      `UPDATE payments SET leased_until = NULL, looks = looks + 1, hinted = false, look_at = clock_timestamp()
        WHERE id = $1`,
      [id],
    )
    await this.#history(id, 1, 'unknown', 'timeout')
  }

  /** Claims a refund of a payment that succeeded. */
  async claimRefund(payment: PaymentBefore): Promise<RefundBefore> {
    const id = randomUUID()
    await this.sql('UPDATE payments SET refund_pending_minor = refund_pending_minor + $2 WHERE id = $1', [
      payment.id,
      amountMinor,
    ])
    await this.sql(
      `WITH inserted AS (
         INSERT INTO refunds (id, account_id, order_id, payment_id, origin, amount_minor, currency, reason,
                              gateway_intent_id, gateway_charge_id, leased_until, look_at, attempt_since)
         SELECT $1, account_id, order_id, id, 'merchant', $3, currency, NULL, gateway_intent_id, gateway_charge_id,
                clock_timestamp() + make_interval(secs => $4), clock_timestamp(), clock_timestamp()
           FROM payments WHERE id = $2
         RETURNING id, payment_id, generation)
       INSERT INTO payment_events (payment_id, refund_id, event, by, generation, gateway_request_id)
       SELECT payment_id, id, 'claimed', $5, generation, NULL FROM inserted`,
      [id, payment.id, amountMinor, leaseSeconds, by],
    )
    const key = await this.#bindKey({ step: 'refund', paymentId: null, refundId: id })
    return { id, paymentId: payment.id, amountMinor, refundKey: `${id}:refund:1`, ...key }
  }

  /** Settles a refund: returned, booked, answered. */
  async succeedRefund({ id, paymentId }: RefundBefore, gatewayRefundId: string): Promise<void> {
    await this.sql(
      `UPDATE refunds SET state = 'succeeded', leased_until = NULL, settled_at = clock_timestamp(), gateway_refund_id = $2
        WHERE id = $1`,
      [id, gatewayRefundId],
    )
    await this.sql(
      `UPDATE payments SET refunded_minor = refunded_minor + $2, refund_pending_minor = refund_pending_minor - $2
        WHERE id = $1`,
      [paymentId, amountMinor],
    )
    await this.sql(
      `UPDATE orders SET state = 'refunded', version = version + 1
        WHERE id = (SELECT order_id FROM payments WHERE id = $1)`,
      [paymentId],
    )
    await this.#transfer(paymentId, id, 'refund')
    await this.sql(
      "INSERT INTO gateway_events (id, type, refund_id, result) VALUES ($1, 'refund.updated', $2, 'applied')",
      [`evt_${id}`, id],
    )
    await this.sql(
      `UPDATE idempotency_keys SET answer_status = 201, answer_body = '{}', answered_at = clock_timestamp()
        WHERE refund_id = $1`,
      [id],
    )
  }

  /** Opens a sale with one section of two seats and a tier, and holds the seats. */
  async holdSeats(): Promise<HoldBefore> {
    const [eventId, sectionId, id] = [randomUUID(), randomUUID(), randomUUID()]
    const seatIds = [randomUUID(), randomUUID()].sort()
    await this.sql(
      `INSERT INTO events (id, account_id, name, currency, sale_opens_at, sale_closes_at, seats_per_customer)
       VALUES ($1, $2, 'an evening', $3, now() - interval '1 hour', now() + interval '1 day', 10)`,
      [eventId, this.accountId, currency],
    )
    await this.sql(
      "INSERT INTO event_sections (id, event_id, position, name, price_minor) VALUES ($1, $2, 1, 'stalls', $3)",
      [sectionId, eventId, amountMinor / 2],
    )
    await this.sql(
      "INSERT INTO tiers (id, event_id, position, name, price_minor, capacity) VALUES ($1, $2, 1, 'standing', 1000, 50)",
      [randomUUID(), eventId],
    )
    for (const [at, seatId] of seatIds.entries())
      await this.sql(
        `INSERT INTO seats (id, event_id, section_id, row_position, row_name, number) VALUES ($1, $2, $3, 1, 'A', $4)`,
        [seatId, eventId, sectionId, at + 1],
      )
    await this.sql(
      `WITH hold AS (
         INSERT INTO holds (id, account_id, event_id, customer_id, seat_ids, quantity, amount_minor, currency, expires_at)
         VALUES ($1, $2, $3, 'customer', $4, 2, $5, $6, clock_timestamp() + interval '10 minutes') RETURNING *)
       INSERT INTO seat_claims (seat_id, section_id, hold_id, expires_at)
       SELECT seat.id, seat.section_id, hold.id, hold.expires_at
         FROM hold JOIN seats AS seat ON seat.id = ANY (hold.seat_ids)`,
      [id, this.accountId, eventId, seatIds, amountMinor, currency],
    )
    return { id, eventId, customerId: 'customer', seatIds }
  }

  /** Claims the checkout of a hold: its seats are pinned, and its order and payment are there. */
  async checkOut(hold: HoldBefore, { paymentMethod = 'pm_card_visa' } = {}): Promise<PaymentBefore> {
    await this.sql('UPDATE seat_claims SET pinned = true WHERE hold_id = $1', [hold.id])
    const orderId = await this.#insertOrder('checkout')
    await this.sql(
      `UPDATE holds SET state = 'checking_out', checkouts = checkouts + 1, order_id = $2, left_ms = 500000 WHERE id = $1`,
      [hold.id, orderId],
    )
    return this.#claim({ orderId, goal: 'authorize', paymentMethod, step: 'checkout' })
  }

  /** Authorizes a checkout's payment: its seats are booked, and the capture is claimed in the same commit. */
  async book(hold: HoldBefore, payment: PaymentBefore): Promise<{ readonly bookingId: string }> {
    const bookingId = randomUUID()
    await this.authorize(payment)
    await this.sql(
      `WITH booking AS (
         INSERT INTO bookings (id, account_id, event_id, customer_id, hold_id, order_id, payment_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id),
       claimed AS (
         UPDATE seat_claims SET booking_id = booking.id FROM booking WHERE hold_id = $5 RETURNING seat_id, booking_id),
       booked AS (INSERT INTO booked_seats (booking_id, seat_id) SELECT booking_id, seat_id FROM claimed)
       UPDATE holds SET state = 'booked', left_ms = NULL WHERE id = $5`,
      [bookingId, this.accountId, hold.eventId, hold.customerId, hold.id, payment.orderId, payment.id],
    )
    await this.sql(
      `UPDATE payments
          SET state = 'capturing', goal = 'capture', generation = generation + 1,
              leased_until = clock_timestamp() + make_interval(secs => $2), look_at = clock_timestamp(), looks = 0,
              step_started_at = clock_timestamp(), hinted = false
        WHERE id = $1`,
      [payment.id, leaseSeconds],
    )
    await this.#history(payment.id, 2, 'claimed', 'capture')
    return { bookingId }
  }

  /** As time does, or the end of the processes: recovery may take everything over that is open. */
  async endLeases(): Promise<void> {
    for (const table of ['payments', 'refunds'])
      await this.sql(
        `UPDATE ${table} SET leased_until = now() - interval '1 second' WHERE leased_until IS NOT NULL`,
        [],
      )
  }

  /** Brings the database to the present schema. Nothing can be written here afterwards. */
  migrate(): Promise<void> {
    return this.#steps.migrate()
  }

  async sql<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#client.query<Row>(text, [...values])).rows
  }

  async close(): Promise<void> {
    await this.#client.end()
    await this.#steps.close()
  }

  async #insertOrder(purpose: 'merchant' | 'checkout'): Promise<string> {
    const id = randomUUID()
    await this.sql(
      `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, receipt_email, purpose)
       VALUES ($1, $2, 'customer', $3, $4, 'customer@example.com', $5)`,
      [id, this.accountId, amountMinor, currency, purpose],
    )
    return id
  }

  async #claim(claim: {
    readonly orderId: string
    readonly goal: 'charge' | 'authorize'
    readonly paymentMethod: string
    readonly step: 'pay' | 'checkout'
  }): Promise<PaymentBefore> {
    const { orderId, goal, paymentMethod, step } = claim
    const { accountId } = this
    const id = randomUUID()
    const metadata = { paymentId: id, orderId, accountId }
    const captureMethod = goal === 'authorize' ? { captureMethod: 'manual' } : {}
    const intentParameters = { amountMinor, currency, paymentMethod, ...captureMethod, metadata }
    await this.sql("UPDATE orders SET state = 'processing', version = version + 1 WHERE id = $1", [orderId])
    await this.sql(
      `WITH inserted AS (
         INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, intent_parameters, goal,
                               leased_until, look_at, wanted_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + make_interval(secs => $9), clock_timestamp(),
                 clock_timestamp() + interval '15 minutes')
         RETURNING id, generation)
       INSERT INTO payment_events (payment_id, event, by, generation, gateway_request_id)
       SELECT id, 'claimed', $10, generation, NULL FROM inserted`,
      [id, accountId, orderId, amountMinor, currency, paymentMethod, intentParameters, goal, leaseSeconds, by],
    )
    const key = await this.#bindKey({ step, paymentId: id, refundId: null })
    const createKey = `${id}:create:1`
    return { id, accountId, orderId, amountMinor, currency, paymentMethod, goal, intentParameters, createKey, ...key }
  }

  async #bindKey(target: {
    readonly step: string
    readonly paymentId: string | null
    readonly refundId: string | null
  }): Promise<Pick<PaymentBefore, 'idempotencyKey' | 'fingerprint'>> {
    const idempotencyKey = randomUUID()
    const fingerprint = createHash('sha256').update(idempotencyKey).digest()
    await this.sql(
      `INSERT INTO idempotency_keys (account_id, key, fingerprint, step, payment_id, refund_id, answered_at)
       VALUES ($1, $2, $3, $4, $5, $6, NULL)`,
      [this.accountId, idempotencyKey, fingerprint, target.step, target.paymentId, target.refundId],
    )
    return { idempotencyKey, fingerprint }
  }

  async #history(paymentId: string, generation: number, event: string, detail: string): Promise<void> {
    await this.sql(
      'INSERT INTO payment_events (payment_id, event, by, generation, detail) VALUES ($1, $2, $3, $4, $5)',
      [paymentId, event, by, generation, detail],
    )
  }

  async #transfer(paymentId: string, refundId: string | null, kind: 'charge' | 'refund'): Promise<void> {
    const accounts = ['gateway', `merchant:${this.accountId}`]
    const [debit, credit] = kind === 'charge' ? accounts : accounts.toReversed()
    await this.sql(
      `INSERT INTO transfers (id, payment_id, refund_id, kind, debit_account, credit_account, amount_minor, currency)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [randomUUID(), paymentId, refundId, kind, debit, credit, amountMinor, currency],
    )
  }
}
