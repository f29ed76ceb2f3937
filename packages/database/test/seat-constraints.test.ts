import { randomUUID } from 'node:crypto'
import { freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** Rows of seats that the database refuses from any client, also from a person in psql, and those that it must take. */
let fresh: Awaited<ReturnType<typeof freshDatabase>>
let client: pg.Client
const account = randomUUID()
const other = randomUUID()
/** One event for all tests, with a section and a tier; its seats are new for each test. */
const event = randomUUID()
const section = randomUUID()
let seats: string[]
let tier: string

beforeAll(async () => {
  fresh = await freshDatabase()
  client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  await client.query("INSERT INTO accounts (id, name) VALUES ($1, 'one'), ($2, 'two')", [account, other])
  await insertEvent({ id: event })
  await insertSection({ id: section })
})
afterAll(async () => {
  await client?.end()
  await fresh?.close()
})
beforeEach(async () => {
  seats = [randomUUID(), randomUUID()].sort()
  tier = randomUUID()
  for (const id of seats) await insertSeat({ id })
  await insertTier({ id: tier })
})

type Row = Readonly<Record<string, unknown>>

function insert(table: string, row: Row) {
  const columns = Object.keys(row)
  const values = columns.map((_, at) => `$${at + 1}`)
  return client.query(`INSERT INTO ${table} (${columns}) VALUES (${values})`, Object.values(row))
}

const hourMs = 3_600_000
const inOneHour = () => new Date(Date.now() + hourMs)
const oneHourAgo = () => new Date(Date.now() - hourMs)

let position = 0
const next = () => ++position

function insertEvent(overrides: Row = {}) {
  const sale = { sale_opens_at: oneHourAgo(), sale_closes_at: inOneHour(), seats_per_customer: 10 }
  return insert('events', { id: randomUUID(), account_id: account, name: 'e', currency: 'EUR', ...sale, ...overrides })
}

function insertSection(overrides: Row = {}) {
  const place = { account_id: account, event_id: event, position: next() }
  return insert('event_sections', { id: randomUUID(), ...place, name: 's', price_minor: 500, ...overrides })
}

function insertSeat(overrides: Row = {}) {
  const place = { event_id: event, section_id: section, row_position: 1, row_name: 'A', number: next() }
  return insert('seats', { id: randomUUID(), account_id: account, ...place, ...overrides })
}

function insertTier(overrides: Row = {}) {
  const place = { account_id: account, event_id: event, position: next() }
  return insert('tiers', { id: randomUUID(), ...place, name: 't', price_minor: 500, capacity: 10, ...overrides })
}

async function insertOrder(overrides: Row = {}): Promise<string> {
  const id = randomUUID()
  const price = { amount_minor: 500, currency: 'EUR' }
  await insert('orders', { id, account_id: account, customer_id: 'c', ...price, purpose: 'checkout', ...overrides })
  return id
}

/** One that was authorized and captured; the id of its order too. */
async function insertPayment(overrides: Row = {}): Promise<{ readonly id: string; readonly orderId: string }> {
  const id = randomUUID()
  const orderId = await insertOrder()
  await insert('payments', {
    ...{ id, account_id: account, order_id: orderId, amount_minor: 500, currency: 'EUR', payment_method: 'pm' },
    ...{
      intent_parameters: '{}',
      next_attempt_at: new Date(),
      abandon_after: new Date(),
      state: 'succeeded',
      goal: 'capture',
    },
    ...{ settled_at: new Date(), gateway_intent_id: id, gateway_charge_id: id, ...overrides },
  })
  return { id, orderId }
}

async function insertRefund({ id: paymentId, orderId }: { readonly id: string; readonly orderId: string }) {
  const id = randomUUID()
  const money = {
    amount_minor: 500,
    currency: 'EUR',
    next_attempt_at: new Date(),
    gateway_intent_id: 'pi',
    gateway_charge_id: 'ch',
  }
  await insert('refunds', { id, account_id: account, order_id: orderId, payment_id: paymentId, ...money })
  return id
}

function holdOfSeats(overrides: Row = {}): Row {
  return {
    ...{ id: randomUUID(), account_id: account, event_id: event, customer_id: 'c', seat_ids: seats, tier_id: null },
    ...{ quantity: 2, amount_minor: 1000, currency: 'EUR', expires_at: inOneHour(), ...overrides },
  }
}

const holdOfPlaces = (overrides: Row = {}) => holdOfSeats({ seat_ids: null, tier_id: tier, ...overrides })

/** A hold with its claims, as holding makes it. */
async function held(overrides: Row = {}): Promise<string> {
  const row = holdOfSeats(overrides)
  await insert('holds', row)
  for (const seatId of row.seat_ids === null ? [] : seats)
    await insertClaim(seatId, row.id, { expires_at: row.expires_at })
  return row.id as string
}

function insertClaim(seatId: unknown, holdId: unknown, overrides: Row = {}) {
  const claim = { seat_id: seatId, section_id: section, hold_id: holdId, expires_at: inOneHour() }
  return insert('seat_claims', { account_id: account, ...claim, ...overrides })
}

function insertBookedSeat(bookingId: unknown, seatId: unknown, overrides: Row = {}) {
  return insert('booked_seats', { account_id: account, booking_id: bookingId, seat_id: seatId, ...overrides })
}

const changeHold = (id: string, sql: string) => client.query(`UPDATE holds SET ${sql} WHERE id = $1`, [id])
const changeClaims = (holdId: string, sql: string) =>
  client.query(`UPDATE seat_claims SET ${sql} WHERE hold_id = $1`, [holdId])
const changeBooking = (id: string, sql: string) => client.query(`UPDATE bookings SET ${sql} WHERE id = $1`, [id])
const deleteClaims = (holdId: string) => client.query('DELETE FROM seat_claims WHERE hold_id = $1', [holdId])

/** The hold as a checkout's claim leaves it. */
async function checkedOut(overrides: Row = {}): Promise<string> {
  const id = await held(overrides)
  await changeClaims(id, 'pinned = true')
  const orderId = await insertOrder()
  await changeHold(id, `state = 'checking_out', checkouts = checkouts + 1, order_id = '${orderId}', left_ms = 60000`)
  return id
}

interface Booked {
  readonly id: string
  readonly holdId: string
  readonly payment: Awaited<ReturnType<typeof insertPayment>>
}

/** Booked, as the settle that authorized its payment leaves it. */
async function pendingBooking(): Promise<Booked> {
  const id = randomUUID()
  const holdId = await checkedOut()
  const payment = await insertPayment()
  await insert('bookings', bookingOf({ id, holdId, payment }))
  await changeClaims(holdId, `booking_id = '${id}'`)
  for (const seatId of seats) await insertBookedSeat(id, seatId)
  await changeHold(holdId, "state = 'booked', left_ms = NULL")
  return { id, holdId, payment }
}

/** And its money taken. */
async function booked(): Promise<Booked> {
  const booking = await pendingBooking()
  await changeBooking(booking.id, "state = 'confirmed', confirmed_at = now()")
  return booking
}

function bookingOf({ id, holdId, payment }: Booked, overrides: Row = {}): Row {
  return {
    ...{ id, account_id: account, event_id: event, customer_id: 'c' },
    ...{ hold_id: holdId, order_id: payment.orderId, payment_id: payment.id, ...overrides },
  }
}

/** A booking that could be made, of a hold and a payment of its own. */
async function bookable(overrides: Row = {}): Promise<Row> {
  const holdId = randomUUID()
  await insert('holds', holdOfPlaces({ id: holdId }))
  return bookingOf({ id: randomUUID(), holdId, payment: await insertPayment() }, overrides)
}

async function refusalOf(query: Promise<unknown>): Promise<string | undefined> {
  return query.then(
    () => undefined,
    (error: pg.DatabaseError) => error.constraint ?? error.message,
  )
}

describe('events', () => {
  it.each([
    { what: 'in a currency that is no upper-case code', row: { currency: 'eur' }, by: 'events_currency_is_a_code' },
    { what: 'whose customers may hold nothing', row: { seats_per_customer: 0 }, by: 'events_somebody_may_hold' },
    { what: 'whose customers may hold a hall', row: { seats_per_customer: 101 }, by: 'events_somebody_may_hold' },
    { what: 'of nobody', row: { account_id: randomUUID() }, by: 'events_account_id_fkey' },
  ])('$what are refused', async ({ row, by }) => {
    expect(await refusalOf(insertEvent(row))).toBe(by)
  })

  it('whose sale closes when it opens, or before, are refused', async () => {
    const opens = new Date()
    const closing = (ms: number) => ({ sale_opens_at: opens, sale_closes_at: new Date(opens.getTime() + ms) })
    expect(await refusalOf(insertEvent(closing(0)))).toBe('events_sale_has_a_length')
    expect(await refusalOf(insertEvent(closing(-1)))).toBe('events_sale_has_a_length')
    expect(await refusalOf(insertEvent(closing(1)))).toBeUndefined()
  })
})

describe('what an event sells', () => {
  it.each([0, -1, 100_000_000])('is not sold for %d', async (price_minor) => {
    expect(await refusalOf(insertSection({ price_minor }))).toBe('event_sections_price_is_chargeable')
    expect(await refusalOf(insertTier({ price_minor }))).toBe('tiers_price_is_chargeable')
  })

  it('at the highest price fits ten times into one charge', async () => {
    const price_minor = 99_999_999
    expect(await refusalOf(insertSection({ price_minor }))).toBeUndefined()
    expect(await refusalOf(insertTier({ price_minor }))).toBeUndefined()
    const hold = holdOfPlaces({ quantity: 10, amount_minor: 10 * price_minor })
    expect(await refusalOf(insert('holds', hold))).toBeUndefined()
  })

  it('has a place of its own in the plan', async () => {
    const at = { position: next() }
    await insertSection(at)
    await insertTier(at)
    expect(await refusalOf(insertSection(at))).toBe('event_sections_event_id_position_key')
    expect(await refusalOf(insertTier(at))).toBe('tiers_event_id_position_key')
  })

  it('has no two chairs in one place, and none with a number that no ticket can say', async () => {
    const chair = { row_position: 7, number: 1 }
    await insertSeat(chair)
    expect(await refusalOf(insertSeat(chair))).toBe('seats_section_id_row_position_number_key')
    expect(await refusalOf(insertSeat({ ...chair, row_position: 8 }))).toBeUndefined()
    expect(await refusalOf(insertSeat({ ...chair, number: 0 }))).toBe('seats_number_is_positive')
  })

  it('is sold by an event of its account', async () => {
    for (const unknown of [{ event_id: randomUUID() }, { account_id: other }]) {
      expect(await refusalOf(insertSection(unknown))).toBe('event_sections_account_id_event_id_fkey')
      expect(await refusalOf(insertTier(unknown))).toBe('tiers_account_id_event_id_fkey')
    }
  })

  it("has no seat in another event's section", async () => {
    const elsewhere = randomUUID()
    await insertEvent({ id: elsewhere })
    expect(await refusalOf(insertSeat({ event_id: elsewhere }))).toBe('seats_event_id_section_id_fkey')
  })
})

describe('tiers', () => {
  const change = (sql: string) => refusalOf(client.query(`UPDATE tiers SET ${sql} WHERE id = $1`, [tier]))

  it('are sold and held to the last place and not beyond', async () => {
    expect(await change('sold = 6, held = 4')).toBeUndefined()
    expect(await change('held = held + 1')).toBe('tiers_never_oversold')
    expect(await change('sold = sold + 1')).toBe('tiers_never_oversold')
    expect(await change('capacity = 9')).toBe('tiers_never_oversold')
  })

  it('turn what is held into what is sold when there is no place left', async () => {
    expect(await change('sold = 0, held = 10')).toBeUndefined()
    expect(await change('sold = sold + 3, held = held - 3')).toBeUndefined()
  })

  it('return no more than was taken', async () => {
    expect(await change('held = held - 1')).toBe('tiers_never_oversold')
    expect(await change('sold = sold - 1')).toBe('tiers_never_oversold')
    // Nor by way of the other counter.
    expect(await change('sold = 1, held = -1')).toBe('tiers_never_oversold')
  })
})

describe('holds', () => {
  it.each([
    { what: 'of seats and of places', row: () => holdOfSeats({ tier_id: tier }), by: 'holds_of_seats_or_places' },
    { what: 'of nothing', row: () => holdOfSeats({ seat_ids: null }), by: 'holds_of_seats_or_places' },
    { what: 'of more seats than they name', row: () => holdOfSeats({ quantity: 3 }), by: 'holds_of_seats_or_places' },
    { what: 'of no places', row: () => holdOfPlaces({ quantity: 0 }), by: 'holds_quantity_is_bounded' },
    { what: 'of eleven places', row: () => holdOfPlaces({ quantity: 11 }), by: 'holds_quantity_is_bounded' },
    { what: 'for nothing', row: () => holdOfSeats({ amount_minor: 0 }), by: 'holds_amount_is_chargeable' },
    {
      what: 'for more than one charge takes',
      row: () => holdOfSeats({ amount_minor: 1_000_000_000 }),
      by: 'holds_amount_is_chargeable',
    },
    {
      what: "for another account's event",
      row: () => holdOfSeats({ account_id: other }),
      by: 'holds_account_id_event_id_fkey',
    },
    {
      what: 'that are being paid for by no order',
      row: () => holdOfSeats({ state: 'checking_out', left_ms: 1 }),
      by: 'holds_checked_out_by_an_order',
    },
    {
      what: 'that were booked by no order',
      row: () => holdOfSeats({ state: 'booked' }),
      by: 'holds_checked_out_by_an_order',
    },
    {
      what: 'whose clock stands still and who had less than nothing left',
      row: async () => holdOfSeats({ state: 'checking_out', checkouts: 1, order_id: await insertOrder(), left_ms: -1 }),
      by: 'holds_time_left_while_checking_out',
    },
    {
      what: 'that are being paid for and whose time goes on',
      row: async () => holdOfSeats({ state: 'checking_out', checkouts: 1, order_id: await insertOrder() }),
      by: 'holds_time_left_while_checking_out',
    },
    {
      what: 'whose clock stands still without a checkout',
      row: () => holdOfSeats({ left_ms: 1 }),
      by: 'holds_time_left_while_checking_out',
    },
  ])('$what are refused', async ({ row, by }) => {
    expect(await refusalOf(insert('holds', await row()))).toBe(by)
  })

  it("of places of another event's tier are refused", async () => {
    const elsewhere = randomUUID()
    await insertEvent({ id: elsewhere })
    const refused = refusalOf(insert('holds', holdOfPlaces({ event_id: elsewhere })))
    expect(await refused).toBe('holds_event_id_tier_id_fkey')
  })

  it('are paid by one order each, of their own account', async () => {
    const order = await insertOrder()
    const checkout = { checkouts: 1, order_id: order }
    await insert('holds', holdOfPlaces(checkout))
    expect(await refusalOf(insert('holds', holdOfPlaces(checkout)))).toBe('holds_order_id_key')
    const foreign = await insertOrder({ account_id: other })
    const refused = refusalOf(insert('holds', holdOfPlaces({ ...checkout, order_id: foreign })))
    expect(await refused).toBe('holds_account_id_order_id_fkey')
  })

  it('are checked out three times at most, each time by an order that is there before', async () => {
    const id = await held()
    const start = async (orderId: string) =>
      refusalOf(
        changeHold(id, `state = 'checking_out', checkouts = checkouts + 1, order_id = '${orderId}', left_ms = 60000`),
      )
    expect(await start(randomUUID())).toBe('holds_account_id_order_id_fkey')
    for (const attempt of [1, 2, 3]) {
      expect(await start(await insertOrder()), `try ${attempt}`).toBeUndefined()
      expect(await refusalOf(changeHold(id, "state = 'active', left_ms = NULL"))).toBeUndefined()
    }
    expect(await start(await insertOrder())).toBe('holds_three_checkouts')
  })

  it('count a checkout with its order, and an order with its checkout', async () => {
    const id = await held()
    expect(await refusalOf(changeHold(id, 'checkouts = 1'))).toBe('holds_three_checkouts')
    expect(await refusalOf(changeHold(id, `order_id = '${await insertOrder()}'`))).toBe('holds_three_checkouts')
  })

  it('do not change while they are being paid for, and end only in ways that end the payment too', async () => {
    const id = await checkedOut()
    for (const rewrite of [
      `order_id = '${await insertOrder()}'`,
      `state = 'active', left_ms = NULL, order_id = '${await insertOrder()}'`,
      "state = 'released', left_ms = NULL",
      'left_ms = 1',
      'checkouts = checkouts + 1',
      "expires_at = now() + interval '1 day'",
    ])
      expect(await refusalOf(changeHold(id, rewrite)), rewrite).toBe('holds_final_stays_final')
    for (const end of ["'active'", "'booked'", "'expired'"]) {
      const checkout = await checkedOut(holdOfPlaces())
      expect(await refusalOf(changeHold(checkout, `state = ${end}, left_ms = NULL`)), end).toBeUndefined()
    }
  })

  it('have the time that was left exactly while they are being paid for', async () => {
    const id = await checkedOut()
    expect(await refusalOf(changeHold(id, "state = 'active'"))).toBe('holds_time_left_while_checking_out')
    const back = "state = 'active', expires_at = now() + make_interval(secs => left_ms / 1000.0), left_ms = NULL"
    expect(await refusalOf(changeHold(id, back))).toBeUndefined()
  })

  it.each(['released', 'expired'] as const)('that are %s stay so', async (state) => {
    const id = await held()
    await changeHold(id, `state = '${state}'`)
    for (const rewrite of ["state = 'active'", "expires_at = now() + interval '1 hour'", 'extended = true'])
      expect(await refusalOf(changeHold(id, rewrite)), rewrite).toBe('holds_final_stays_final')
  })

  it('that were booked stay so', async () => {
    const { holdId } = await booked()
    for (const rewrite of ["state = 'active'", "state = 'expired'", 'checkouts = 2'])
      expect(await refusalOf(changeHold(holdId, rewrite)), rewrite).toBe('holds_final_stays_final')
  })

  it('keep what they are of, whose, and their price', async () => {
    const id = await held()
    const elsewhere = randomUUID()
    await insertEvent({ id: elsewhere })
    for (const rewrite of [
      `account_id = '${other}'`,
      `event_id = '${elsewhere}'`,
      "customer_id = 'x'",
      `seat_ids = ARRAY['${seats[0]}', '${randomUUID()}']::uuid[]`,
      `seat_ids = NULL, tier_id = '${tier}'`,
      'quantity = 1',
      'amount_minor = 1',
      "currency = 'USD'",
    ])
      expect(await refusalOf(changeHold(id, rewrite)), rewrite).toBe('holds_final_stays_final')
  })

  it('of places keep their tier, which counts them', async () => {
    const hold = holdOfPlaces()
    await insert('holds', hold)
    const another = randomUUID()
    await insertTier({ id: another })
    const moved = changeHold(hold.id as string, `tier_id = '${another}'`)
    expect(await refusalOf(moved)).toBe('holds_final_stays_final')
  })

  it('are extended once, and forget no checkout', async () => {
    const id = await checkedOut()
    await changeHold(id, "state = 'active', left_ms = NULL, extended = true")
    expect(await refusalOf(changeHold(id, 'extended = false'))).toBe('holds_final_stays_final')
    expect(await refusalOf(changeHold(id, 'checkouts = 0, order_id = NULL'))).toBe('holds_final_stays_final')
  })

  it('are not booked without having been paid for', async () => {
    const id = await held()
    const order = await insertOrder()
    const leap = changeHold(id, `state = 'booked', checkouts = 1, order_id = '${order}'`)
    expect(await refusalOf(leap)).toBe('holds_final_stays_final')
  })
})

describe('claims of seats', () => {
  it('are one per seat, whether or not the one that is there has lapsed', async () => {
    await held({ expires_at: oneHourAgo() })
    const second = holdOfSeats()
    await insert('holds', second)
    expect(await refusalOf(insertClaim(seats[0], second.id))).toBe('seat_claims_pkey')
  })

  it('of an unknown seat, or for an unknown hold, are refused', async () => {
    const hold = holdOfSeats()
    await insert('holds', hold)
    expect(await refusalOf(insertClaim(randomUUID(), hold.id))).toBe('seat_claims_seat_id_fkey')
    expect(await refusalOf(insertClaim(seats[0], randomUUID()))).toBe('seat_claims_hold_id_fkey')
  })

  it('that have lapsed can be deleted by the next buyer, while their hold is still recorded as active', async () => {
    const id = await held({ expires_at: oneHourAgo() })
    const takeover = client.query(
      'DELETE FROM seat_claims WHERE seat_id = $1 AND NOT pinned AND expires_at <= clock_timestamp()',
      [seats[0]],
    )
    expect((await takeover).rowCount).toBe(1)
    const second = holdOfSeats()
    await insert('holds', second)
    expect(await refusalOf(insertClaim(seats[0], second.id))).toBeUndefined()
    // The rest of the first hold goes its own way, before and after its end is recorded.
    await changeHold(id, "state = 'expired'")
    expect((await deleteClaims(id)).rowCount).toBe(1)
  })

  it('can be deleted while their hold is active, by its customer or when its time is over', async () => {
    expect((await deleteClaims(await held())).rowCount).toBe(2)
  })

  it('are extended and pinned, and let go again', async () => {
    const id = await held()
    for (const change of ["expires_at = now() + interval '2 hours'", 'pinned = true', 'pinned = false'])
      expect(await refusalOf(changeClaims(id, change)), change).toBeUndefined()
  })

  it('never pass to another hold, nor to another seat', async () => {
    const id = await held()
    const second = holdOfSeats()
    await insert('holds', second)
    expect(await refusalOf(changeClaims(id, `hold_id = '${second.id}'`))).toBe('seat_claims_are_kept')
    const free = randomUUID()
    await insertSeat({ id: free })
    const moved = client.query('UPDATE seat_claims SET seat_id = $1 WHERE seat_id = $2', [free, seats[0]])
    expect(await refusalOf(moved)).toBe('seat_claims_are_kept')
  })

  it('are not deleted while they are being paid for, and are once that came to nothing', async () => {
    const id = await checkedOut()
    expect(await refusalOf(deleteClaims(id))).toBe('seat_claims_are_kept')
    await changeHold(id, "state = 'expired', left_ms = NULL")
    expect((await deleteClaims(id)).rowCount).toBe(2)
  })

  it('are not deleted in the statement that ends their hold, which they must not depend on', async () => {
    const id = await checkedOut()
    const both = client.query(
      `WITH ended AS (UPDATE holds SET state = 'expired', left_ms = NULL WHERE id = $1)
       DELETE FROM seat_claims WHERE hold_id = $1`,
      [id],
    )
    expect(await refusalOf(both)).toBe('seat_claims_are_kept')
  })

  it('go back to their hold after a card that was declined', async () => {
    const id = await checkedOut()
    await changeHold(id, "state = 'active', left_ms = NULL")
    expect(
      await refusalOf(changeClaims(id, "pinned = false, expires_at = now() + interval '1 minute'")),
    ).toBeUndefined()
    expect((await deleteClaims(id)).rowCount).toBe(2)
  })

  it('are not booked without being pinned, nor for an unknown booking', async () => {
    const { id, holdId } = await booked()
    const free = randomUUID()
    await insertSeat({ id: free })
    expect(await refusalOf(insertClaim(free, holdId, { booking_id: id }))).toBe('seat_claims_booked_is_pinned')
    const nobodys = { booking_id: randomUUID(), pinned: true }
    expect(await refusalOf(insertClaim(free, holdId, nobodys))).toBe('seat_claims_booking_id_fkey')
  })

  it('that are booked never change', async () => {
    const { holdId } = await booked()
    for (const change of ['pinned = false', "expires_at = now() + interval '1 day'", 'booking_id = NULL'])
      expect(await refusalOf(changeClaims(holdId, change)), change).toMatch(/^seat_claims_(are_kept|booked_is_pinned)$/)
    expect(await refusalOf(changeClaims(holdId, 'booking_id = NULL'))).toBe('seat_claims_are_kept')
  })

  it('of a booking are not deleted while it is pending, confirmed, or being cancelled', async () => {
    const { id, holdId, payment } = await pendingBooking()
    expect(await refusalOf(deleteClaims(holdId))).toBe('seat_claims_are_kept')
    await changeBooking(id, "state = 'confirmed', confirmed_at = now()")
    expect(await refusalOf(deleteClaims(holdId))).toBe('seat_claims_are_kept')
    await changeBooking(id, `state = 'cancelling', refund_id = '${await insertRefund(payment)}'`)
    expect(await refusalOf(deleteClaims(holdId))).toBe('seat_claims_are_kept')
  })

  it('of a booked hold are not deleted, even if they name no booking', async () => {
    const { holdId } = await booked()
    const nameless = randomUUID()
    await insertSeat({ id: nameless })
    await insertClaim(nameless, holdId, { pinned: true })
    const deleted = client.query('DELETE FROM seat_claims WHERE seat_id = $1', [nameless])
    expect(await refusalOf(deleted)).toBe('seat_claims_are_kept')
  })

  it('of a booking that was cancelled are deleted, and the seat is sold anew', async () => {
    const first = await booked()
    await changeBooking(first.id, "state = 'cancelled', cancelled_at = now()")
    await client.query('UPDATE booked_seats SET released_at = now() WHERE booking_id = $1', [first.id])
    expect((await deleteClaims(first.holdId)).rowCount).toBe(2)
    const second = await booked()
    const { rows } = await client.query('SELECT DISTINCT booking_id AS id FROM seat_claims WHERE seat_id = ANY ($1)', [
      seats,
    ])
    expect(rows).toEqual([{ id: second.id }])
  })
})

describe('bookings', () => {
  it.each([
    { what: 'confirmed without a time for it', row: { state: 'confirmed' }, by: 'bookings_confirmed_when_paid' },
    {
      what: 'being cancelled without having been confirmed',
      row: { state: 'cancelling', refund_id: randomUUID() },
      by: 'bookings_confirmed_when_paid',
    },
    {
      what: 'being cancelled without a refund',
      row: { state: 'cancelling', confirmed_at: new Date() },
      by: 'bookings_cancelling_has_refund',
    },
    { what: 'cancelled without a time for it', row: { state: 'cancelled' }, by: 'bookings_cancelled_has_time' },
    { what: 'pending with a time of its end', row: { cancelled_at: new Date() }, by: 'bookings_cancelled_has_time' },
    { what: "for another account's event", row: { account_id: other }, by: 'bookings_account_id_event_id_fkey' },
    { what: 'of no hold', row: { hold_id: randomUUID() }, by: 'bookings_hold_id_fkey' },
    { what: 'by no order', row: { order_id: randomUUID() }, by: 'bookings_account_id_order_id_fkey' },
    { what: 'by no payment', row: { payment_id: randomUUID() }, by: 'bookings_account_id_payment_id_fkey' },
    { what: 'with a refund of nobody', row: { refund_id: randomUUID() }, by: 'bookings_account_id_refund_id_fkey' },
  ])('$what are refused', async ({ row, by }) => {
    expect(await refusalOf(insert('bookings', await bookable(row)))).toBe(by)
  })

  it.each(['hold', 'order', 'payment'])('have a %s of their own', async (whose) => {
    const first = await bookable()
    await insert('bookings', first)
    const column = `${whose}_id`
    const second = await bookable({ [column]: first[column] })
    expect(await refusalOf(insert('bookings', second))).toBe(`bookings_${column}_key`)
  })

  it('share no refund', async () => {
    const [first, second] = [await bookable(), await bookable()]
    for (const row of [first, second]) await insert('bookings', row)
    const refund = await insertRefund({ id: first.payment_id as string, orderId: first.order_id as string })
    const refunded = (id: unknown) => refusalOf(changeBooking(id as string, `refund_id = '${refund}'`))
    expect(await refunded(first.id)).toBeUndefined()
    expect(await refunded(second.id)).toBe('bookings_refund_id_key')
  })

  it('go from pending to confirmed, back from a cancellation that failed, and to the end', async () => {
    const { id, payment } = await booked()
    for (const step of [
      `state = 'cancelling', refund_id = '${await insertRefund(payment)}'`,
      "state = 'confirmed'",
      `state = 'cancelling', refund_id = '${await insertRefund(payment)}'`,
      "state = 'cancelled', cancelled_at = now()",
    ])
      expect(await refusalOf(changeBooking(id, step)), step).toBeUndefined()
  })

  it('are cancelled without a refund where nothing was taken, or nothing is left to return', async () => {
    const { id } = await booked()
    expect(await refusalOf(changeBooking(id, "state = 'cancelled', cancelled_at = now()"))).toBeUndefined()
    await client.query('UPDATE booked_seats SET released_at = now() WHERE booking_id = $1', [id])
    await client.query('DELETE FROM seat_claims WHERE booking_id = $1', [id])
    const refused = await pendingBooking()
    expect(await refusalOf(changeBooking(refused.id, "state = 'cancelled', cancelled_at = now()"))).toBeUndefined()
  })

  it('that were cancelled stay so', async () => {
    const { id, payment } = await booked()
    await changeBooking(id, "state = 'cancelled', cancelled_at = now()")
    const refund = await insertRefund(payment)
    for (const rewrite of [
      "state = 'confirmed', cancelled_at = NULL",
      `refund_id = '${refund}'`,
      "cancelled_at = now() + interval '1 hour'",
    ])
      expect(await refusalOf(changeBooking(id, rewrite)), rewrite).toBe('bookings_final_stays_final')
  })

  it('keep whose they are, of which hold, and by which money', async () => {
    const { id } = await booked()
    const elsewhere = await bookable()
    for (const column of ['account_id', 'event_id', 'customer_id', 'hold_id', 'order_id', 'payment_id']) {
      const value = { ...elsewhere, account_id: other, event_id: randomUUID(), customer_id: 'x' }[column]
      expect(await refusalOf(changeBooking(id, `${column} = '${value}'`)), column).toBe('bookings_final_stays_final')
    }
  })
})

describe('booked seats', () => {
  it('have one booking at a time, even where their claims are gone', async () => {
    const first = await booked()
    const second = await bookable()
    await insert('bookings', second)
    const again = () => refusalOf(insertBookedSeat(second.id, seats[0]))
    expect(await again()).toBe('bookings_one_per_seat')
    await client.query('UPDATE booked_seats SET released_at = now() WHERE booking_id = $1', [first.id])
    expect(await again()).toBeUndefined()
    expect(await again()).toBe('booked_seats_pkey')
  })

  it('that were released are not taken back once the seat was sold anew', async () => {
    const first = await booked()
    const release = (at: string) =>
      client.query(`UPDATE booked_seats SET released_at = ${at} WHERE booking_id = $1`, [first.id])
    await release('now()')
    const second = await bookable()
    await insert('bookings', second)
    await insertBookedSeat(second.id, seats[1])
    expect(await refusalOf(release('NULL'))).toBe('bookings_one_per_seat')
  })

  it('are of a booking of their account, and of a seat', async () => {
    const { id } = await booked()
    const released = { released_at: new Date() }
    const noBooking = insertBookedSeat(randomUUID(), seats[0], released)
    expect(await refusalOf(noBooking)).toBe('booked_seats_account_id_booking_id_fkey')
    const seat = randomUUID()
    await insertSeat({ id: seat })
    const anothers = insertBookedSeat(id, seat, { account_id: other })
    expect(await refusalOf(anothers)).toBe('booked_seats_account_id_booking_id_fkey')
    expect(await refusalOf(insertBookedSeat(id, randomUUID()))).toBe('booked_seats_seat_id_fkey')
  })
})

describe('what a sale hangs on', () => {
  it('is not deleted from under it', async () => {
    const { id, holdId, payment } = await booked()
    await insert('holds', holdOfPlaces())
    const remove = (table: string, of: string) => refusalOf(client.query(`DELETE FROM ${table} WHERE id = $1`, [of]))
    expect(await remove('events', event)).toMatch(/_fkey$/)
    expect(await remove('event_sections', section)).toBe('seats_event_id_section_id_fkey')
    expect(await remove('tiers', tier)).toBe('holds_event_id_tier_id_fkey')
    expect(await remove('seats', seats[0] as string)).toMatch(/^(seat_claims|booked_seats)_seat_id_fkey$/)
    expect(await remove('holds', holdId)).toMatch(/_hold_id_fkey$/)
    expect(await remove('bookings', id)).toMatch(/_booking_id_fkey$/)
    expect(await remove('payments', payment.id)).toBe('bookings_account_id_payment_id_fkey')
    expect(await remove('orders', payment.orderId)).toMatch(/_account_id_order_id_fkey$/)
  })
})

describe('the order and the key of a checkout', () => {
  it('are known as that', async () => {
    expect(await refusalOf(insertOrder({ purpose: 'checkout' }))).toBeUndefined()
    expect(await refusalOf(insertOrder({ purpose: 'gift' }))).toBe('orders_purpose_is_known')
  })

  const insertKey = (row: Row) =>
    refusalOf(
      insert('idempotency_keys', {
        ...{ account_id: account, key: randomUUID(), fingerprint: Buffer.alloc(32), step: 'checkout' },
        ...{ answered_at: null, ...row },
      }),
    )

  it('start one checkout of one payment, beside the steps of the payments API', async () => {
    const payment = await insertPayment()
    expect(await insertKey({ payment_id: payment.id })).toBeUndefined()
    expect(await insertKey({ payment_id: payment.id })).toBe('idempotency_keys_account_id_payment_id_step_key')
    expect(await insertKey({ payment_id: payment.id, step: 'capture' })).toBeUndefined()
  })

  it('name the payment and no refund', async () => {
    const payment = await insertPayment()
    const refund_id = await insertRefund(payment)
    expect(await insertKey({ payment_id: payment.id, refund_id })).toBe('idempotency_keys_step_is_known')
    expect(await insertKey({ refund_id })).toBe('idempotency_keys_step_is_known')
    const answer = { answer_status: 201, answer_body: '{}', answered_at: new Date() }
    expect(await insertKey(answer)).toBe('idempotency_keys_step_is_known')
  })
})
