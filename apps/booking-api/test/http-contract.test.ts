import { mostSeatsPerHold, type Refusal } from '@seatbelt/domain'
import { bookingRenderings, problemKinds } from '@seatbelt/http'
import { createLatch, eventually } from '@seatbelt/testing'
import type { Response } from 'supertest'
import { describe, expect, it } from 'vitest'
import * as schemas from '../src/schemas.ts'
import { answered, booking, event, hold, refused, seatIds, section, tier } from './fake-booking-operations.ts'
import { foreignKey, testApp } from './test-app.ts'

const unknownId = '0192f000-0000-7000-8000-0000000000ff'
const holdsPath = `/v1/events/${event.id}/holds`
const checkoutPath = `/v1/holds/${hold.id}/checkout`
const cancellationPath = `/v1/bookings/${booking.id}/cancellation`
const availabilityPath = `/v1/events/${event.id}/availability`
const mapPath = `/v1/events/${event.id}/sections/${section.id}/seats`
const call = { accountId: event.accountId, key: 'key-1', fingerprint: expect.any(Uint8Array) }

const newEvent = {
  name: 'An evening of chamber music',
  currency: 'EUR',
  saleOpensAt: '2026-11-20T10:00:00Z',
  saleClosesAt: '2026-12-20T11:00:00+01:00',
  sections: [
    { name: 'Stalls', priceMinor: 4_500, rows: [{ name: 'A', from: 1, to: 4, missing: [3], accessible: [1] }] },
  ],
  tiers: [{ name: 'Standing', priceMinor: 2_000, capacity: 100 }],
}

/** A problem in its whole form, and not only in its status. */
function expectProblem(answer: Response, code: keyof typeof problemKinds, members: object = {}): void {
  const { status, title } = problemKinds[code]
  expect({ status: answer.status, type: answer.headers['content-type'], body: answer.body }).toMatchObject({
    status,
    type: 'application/problem+json',
    body: { type: `urn:seatbelt:problem:${code}`, title, status, code, detail: expect.stringMatching(/./), ...members },
  })
}

describe('events', () => {
  it('an event is created: 201, and where it is', async () => {
    const { post, calls } = testApp()
    const answer = await post('/v1/events').send(newEvent)
    expect([answer.status, answer.headers.location]).toEqual([201, `/v1/events/${event.id}`])
    expect(schemas.event.parse(answer.body)).toMatchObject({ id: event.id, sections: [{ seats: 2 }] })
    const saleOpensAt = new Date('2026-11-20T10:00:00Z')
    const saleClosesAt = new Date('2026-12-20T10:00:00Z')
    const arguments_ = [
      call,
      { ...newEvent, seatsPerCustomer: 10, seatsPerCustomerInAll: null, saleOpensAt, saleClosesAt },
    ]
    expect(calls).toEqual([{ operation: 'createEvent', arguments: arguments_ }])
  })

  it.each([
    ['no name', { name: undefined }, 'name'],
    ['a name of two lines', { name: 'a\nb' }, 'name'],
    ['a currency that nothing is charged in', { currency: 'XXX' }, 'currency'],
    ['a sale that closes before it opens', { saleClosesAt: '2026-11-20T10:00:00Z' }, 'saleClosesAt'],
    ['a sale in the year 0', { saleOpensAt: '0000-01-01T00:00:00Z' }, 'saleOpensAt'],
    ['a sale that closes in the year 10000, of UTC', { saleClosesAt: '9999-12-31T23:59:59-23:59' }, 'saleClosesAt'],
    ['nothing to sell', { sections: [], tiers: [] }, 'sections'],
    ['two tiers of one name', { tiers: [newEvent.tiers[0], newEvent.tiers[0]] }, 'tiers'],
    ['a tier without places', { tiers: [{ ...newEvent.tiers[0], capacity: 0 }] }, 'tiers.0.capacity'],
    ['a price of nothing', { sections: [{ ...newEvent.sections[0], priceMinor: 0 }] }, 'sections.0.priceMinor'],
    ['a price below what is charged', { tiers: [{ ...newEvent.tiers[0], priceMinor: 49 }] }, 'tiers.0.priceMinor'],
    [
      'a price of which ten are more than one charge',
      { sections: [{ ...newEvent.sections[0], priceMinor: 10_000_000 }] },
      'sections.0.priceMinor',
    ],
    [
      'a price in fractions of a króna',
      { currency: 'ISK', sections: [{ ...newEvent.sections[0], priceMinor: 1_950 }], tiers: [] },
      'sections.0.priceMinor',
    ],
    ['a section without rows', { sections: [{ ...newEvent.sections[0], rows: [] }] }, 'sections.0.rows'],
    ['a row that ends before it begins', withRow({ from: 4, to: 1 }), 'sections.0.rows.0.to'],
    ['a row that nobody can walk', withRow({ from: 1, to: 501 }), 'sections.0.rows.0.to'],
    ['a row of missing seats', withRow({ from: 1, to: 2, missing: [1, 2] }), 'sections.0.rows.0.missing'],
    ['a missing seat of another row', withRow({ from: 1, to: 2, missing: [3] }), 'sections.0.rows.0.missing'],
    ['a seat that is missing twice', withRow({ from: 1, to: 3, missing: [2, 2] }), 'sections.0.rows.0.missing'],
    [
      'an accessible seat that is missing',
      withRow({ from: 1, to: 2, missing: [1], accessible: [1] }),
      'sections.0.rows.0.accessible',
    ],
    ['more seats than one map can show', { sections: [hall(21)] }, 'sections.0.rows'],
    [
      'more seats than one event can have',
      { sections: Array.from({ length: 11 }, (_, at) => ({ ...hall(19), name: `${at}` })) },
      'sections',
    ],
    ['more than is known', { door: 'open' }, 'door'],
  ])('refused before anything is done: %s', async (_what, changed, path) => {
    const { post, calls } = testApp()
    const answer = await post('/v1/events').send({ ...newEvent, ...changed })
    expectProblem(answer, 'invalid-request', { errors: expect.arrayContaining([expect.objectContaining({ path })]) })
    expect(calls).toEqual([])
  })

  it('the largest event comes through, and a body that is larger still does not', async () => {
    const { post, calls } = testApp()
    const rows = Array.from({ length: 100 }, (_, at) => ({ name: `Row ${at}`, from: 1, to: 100, accessible: [1, 2] }))
    const sections = Array.from({ length: 10 }, (_, at) => ({ name: `Section ${at}`, priceMinor: 4_500, rows }))
    const largest = JSON.stringify({ ...newEvent, sections })
    expect(largest.length).toBeGreaterThan(50 * 1024)
    expect((await post('/v1/events').type('json').send(largest)).status).toBe(201)
    expect(calls).toHaveLength(1)
    const answer = await post('/v1/events')
      .type('json')
      .send(largest + ' '.repeat(256 * 1024))
    expectProblem(answer, 'body-too-large', { maxBodyBytes: 256 * 1024 })
  })

  it('two are worked on at once: a third is refused, and gets its turn when one has ended', async () => {
    const { post, fake, calls } = testApp()
    const goOn = createLatch('they are created')
    fake.before = () => goOn.wait()
    const create = (key: string) => post('/v1/events', key).send(newEvent).then()
    const under = [create('key-1'), create('key-2')]
    await eventually('both are worked on', () => calls.length === 2)
    const third = await create('key-3')
    expectProblem(third, 'temporarily-unavailable', { retryAfterSeconds: 1 })
    goOn.open()
    expect((await Promise.all(under)).map(({ status }) => status)).toEqual([201, 201])
    expect((await create('key-3')).status).toBe(201)
  })

  it('a large body is for events alone', async () => {
    const { post } = testApp()
    const answer = await post(holdsPath).send({ customerId: 'c', seatIds, padding: 'x'.repeat(17 * 1024) })
    expectProblem(answer, 'body-too-large', { maxBodyBytes: 16 * 1024 })
  })

  it('they are looked at, and listed by pages', async () => {
    const { get, calls } = testApp()
    expect(schemas.event.parse((await get(`/v1/events/${event.id}`)).body)).toMatchObject({ id: event.id })
    const first = await get('/v1/events?limit=1')
    expect(schemas.eventList.parse(first.body)).toMatchObject({ items: [{ id: event.id }] })
    const second = await get(`/v1/events?limit=1&cursor=${first.body.nextCursor}`)
    expect(second.body.nextCursor).toBeNull()
    expect(calls.at(-1)?.arguments[1]).toEqual({ limit: 1, after: event.id })
  })
})

function withRow(row: object) {
  return { sections: [{ ...newEvent.sections[0], rows: [{ name: 'A', ...row }] }] }
}

/** A section of so many rows of five hundred seats. */
function hall(rows: number) {
  return {
    name: 'Hall',
    priceMinor: 100,
    rows: Array.from({ length: rows }, (_, at) => ({ name: `${at}`, from: 1, to: 500 })),
  }
}

describe('pictures', () => {
  it.each([
    [availabilityPath, schemas.availability],
    [mapPath, schemas.seatMap],
  ])('%s has an ETag, by which it is not sent again', async (path, schema) => {
    const { get } = testApp()
    const first = await get(path)
    expect(first.status).toBe(200)
    schema.parse(first.body)
    expect(first.headers['cache-control']).toBe('private, no-cache')
    const etag = first.headers.etag ?? ''
    expect(etag).toMatch(/^"[\w-]{43}"$/)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await get(path).set('If-None-Match', known)
      expect([again.status, again.text, again.headers.etag]).toEqual([304, '', etag])
      expect(again.headers).not.toHaveProperty('content-type')
    }
    for (const other of ['"other"', etag.slice(1, -1), '']) {
      const again = await get(path).set('If-None-Match', other)
      expect([again.status, again.text]).toEqual([200, first.text])
    }
  })

  it('another picture has another ETag, and the same bytes have the same', async () => {
    const { get, fake } = testApp()
    const etagOf = async () => (await get(availabilityPath)).headers.etag
    const first = await etagOf()
    fake.availability = structuredClone(fake.availability)
    expect(await etagOf()).toBe(first)
    fake.availability = { ...fake.availability, tiers: [] }
    expect(await etagOf()).not.toBe(first)
  })

  it('nothing else is conditional: an answer to an account is not to be kept', async () => {
    const { get } = testApp()
    const answer = await get(`/v1/events/${event.id}`).set('If-None-Match', '*')
    expect([answer.status, answer.headers.etag, answer.headers['cache-control']]).toEqual([200, undefined, 'no-store'])
  })
})

describe('holds', () => {
  it.each([
    ['seats', { seatIds }, { kind: 'seats', seatIds }],
    ['places', { tierId: tier.id, quantity: 3 }, { kind: 'places', tierId: tier.id, quantity: 3 }],
    ['adjacent', { sectionId: section.id, quantity: 2 }, { kind: 'adjacent', sectionId: section.id, quantity: 2 }],
    ['no seats', { seatIds: [] }, { kind: 'seats', seatIds: [] }],
    ['a seat twice', { seatIds: [seatIds[0], seatIds[0]] }, { kind: 'seats', seatIds: [seatIds[0], seatIds[0]] }],
    [
      'too many',
      { tierId: tier.id, quantity: mostSeatsPerHold + 1 },
      { kind: 'places', quantity: mostSeatsPerHold + 1 },
    ],
    ['none', { tierId: tier.id, quantity: 0 }, { kind: 'places', quantity: 0 }],
    ['less than none', { sectionId: section.id, quantity: -1 }, { kind: 'adjacent', quantity: -1 }],
  ])('%s come to the operation, which says what it thinks of them', async (_what, asked, of) => {
    const { post, calls } = testApp()
    const answer = await post(holdsPath).send({ customerId: 'customer-1', ...asked })
    expect([answer.status, answer.headers.location]).toEqual([201, `/v1/holds/${hold.id}`])
    schemas.hold.parse(answer.body)
    expect(calls).toMatchObject([
      { operation: 'holdSeats', arguments: [call, { eventId: event.id, customerId: 'customer-1', of }] },
    ])
  })

  it.each([
    ['nothing', {}, ''],
    ['seats and places', { seatIds, tierId: tier.id, quantity: 1 }, ''],
    ['seats and a quantity', { seatIds, quantity: 2 }, 'quantity'],
    ['places without a quantity', { tierId: tier.id }, 'quantity'],
    ['half a place', { tierId: tier.id, quantity: 1.5 }, 'quantity'],
    ['more seats than anybody names', { seatIds: Array.from({ length: 101 }, () => seatIds[0]) }, 'seatIds'],
    ['a seat that is a number', { seatIds: [1] }, 'seatIds.0'],
  ])('refused by its schema: %s', async (_what, asked, path) => {
    const { post, calls } = testApp()
    const answer = await post(holdsPath).send({ customerId: 'customer-1', ...asked })
    expectProblem(answer, 'invalid-request', { errors: expect.arrayContaining([expect.objectContaining({ path })]) })
    expect(calls).toEqual([])
  })

  it.each<[object, Refusal]>([
    [{ seatIds: [seatIds[0], 'seat-1'] }, { code: 'seats-not-found', seatIds: ['seat-1'] }],
    [{ seatIds: [seatIds[0].toUpperCase()] }, { code: 'seats-not-found', seatIds: [seatIds[0].toUpperCase()] }],
    [
      { tierId: 'standing', quantity: 1 },
      { code: 'tier-not-found', tierId: 'standing' },
    ],
    [
      { sectionId: 'stalls', quantity: 1 },
      { code: 'section-not-found', sectionId: 'stalls' },
    ],
  ])('an id that is none is unknown: %o', async (asked, { code, ...members }) => {
    const { post } = testApp()
    expectProblem(await post(holdsPath).send({ customerId: 'customer-1', ...asked }), code, members)
  })

  it('each refusal is its own problem, with the seats named', async () => {
    const { post, fake } = testApp()
    const refusals: Refusal[] = [
      { code: 'seats-taken', seatIds: [seatIds[1]] },
      { code: 'seats-not-found', seatIds: [unknownId] },
      { code: 'seats-of-another-event', seatIds: [seatIds[0]] },
      { code: 'seats-named-twice', seatIds: [seatIds[0]] },
      { code: 'too-many-seats', mostSeats: 10 },
      { code: 'quantity-not-positive', quantity: 0 },
      { code: 'quantity-over-capacity', tierId: tier.id, capacity: 100 },
      { code: 'customer-holds-too-many', customerId: 'customer-1', heldSeats: 9, mostSeats: 10 },
      { code: 'sold-out', tierId: tier.id },
      { code: 'no-adjacent-seats', sectionId: section.id, quantity: 4 },
      {
        code: 'event-not-on-sale',
        eventId: event.id,
        saleOpensAt: '2026-11-20T10:00:00.000Z',
        saleClosesAt: '2026-12-20T10:00:00.000Z',
      },
    ]
    for (const refusal of refusals) {
      fake.next = refused(refusal)
      const { code, ...members } = refusal
      expectProblem(await post(holdsPath).send({ customerId: 'customer-1', seatIds }), code, members)
    }
  })

  it('a hold is looked at, extended and released by its customer', async () => {
    const { get, post, calls } = testApp()
    expect(schemas.hold.parse((await get(`/v1/holds/${hold.id}`)).body)).toMatchObject({ state: 'active' })
    const extended = await post(`/v1/holds/${hold.id}/extension`).send({ customerId: 'customer-1' })
    expect([extended.status, extended.body.extended]).toEqual([200, true])
    const released = await post(`/v1/holds/${hold.id}/release`).send({ customerId: 'customer-1' })
    expect([released.status, released.body.state]).toEqual([200, 'released'])
    const own = { holdId: hold.id, customerId: 'customer-1' }
    expect(calls.slice(1)).toEqual([
      { operation: 'extendHold', arguments: [call, own] },
      { operation: 'releaseHold', arguments: [call, own] },
    ])
    expectProblem(await post(`/v1/holds/${hold.id}/release`).send({}), 'invalid-request')
  })
})

describe('checkouts', () => {
  const checkOut = { customerId: 'customer-1', paymentMethod: 'pm_card_visa' }

  it('201 is the booking, and where it is', async () => {
    const { post, calls } = testApp()
    const answer = await post(checkoutPath).send(checkOut)
    expect([answer.status, answer.headers.location]).toEqual([201, `/v1/bookings/${booking.id}`])
    expect(schemas.booking.parse(answer.body)).toMatchObject({ id: booking.id, state: 'confirmed' })
    const asked = { holdId: hold.id, ...checkOut, receiptEmail: null }
    expect(calls).toEqual([{ operation: 'checkOut', arguments: [call, asked] }])
  })

  it('202 names what is under way, and is not a record', async () => {
    const { post, fake } = testApp()
    const { orderId, paymentId } = booking
    fake.next = { kind: 'unsettled', subject: { holdId: hold.id, orderId, paymentId, isInReview: false } }
    const answer = await post(checkoutPath).send(checkOut)
    expect([answer.status, answer.body]).toEqual([202, { holdId: hold.id, orderId, paymentId, state: 'checking_out' }])
    expect(answer.headers).toMatchObject({ location: `/v1/holds/${hold.id}`, 'retry-after': '1' })
    schemas.checkout.parse(answer.body)
    fake.next = { kind: 'unsettled', subject: { holdId: hold.id, orderId, paymentId, isInReview: true } }
    expect((await post(checkoutPath).send(checkOut)).headers).not.toHaveProperty('retry-after')
  })

  const orderId = booking.orderId
  const members = { holdId: hold.id, orderId, holdState: 'active', expiresAt: '2026-11-20T10:10:00.000Z' }
  it.each([
    [
      { state: 'declined', declineCode: 'card_declined', declinedBy: 'bank' },
      'payment-declined',
      { ...members, declineCode: 'card_declined' },
    ],
    [
      { state: 'declined', declineCode: 'resource_missing', declinedBy: 'payment-method' },
      'payment-method-refused',
      { ...members, declineCode: 'resource_missing' },
    ],
    [
      { state: 'declined', declineCode: 'parameter_unknown', declinedBy: 'gateway' },
      'gateway-refused-request',
      members,
    ],
    [{ state: 'cancelled' }, 'payment-cancelled', members],
    [{ state: 'voided', declineCode: 'expired' }, 'checkout-voided', { ...members, declineCode: 'expired' }],
  ] as const)('what was not paid is told with the hold: %o', async (outcome, code, expected) => {
    const { post, fake } = testApp()
    const ended = bookingRenderings.checkoutEnded({ kind: 'not-paid', hold: { ...hold, orderId }, outcome })
    fake.next = answered(ended)
    expectProblem(await post(checkoutPath).send(checkOut), code, expected)
  })

  it.each([
    ['seats-gone', 'checkout-voided'],
    ['paid-without-seats', 'paid-without-seats'],
  ] as const)('%s names the hold and its order', async (kind, code) => {
    const { post, fake } = testApp()
    fake.next = answered(bookingRenderings.checkoutEnded({ kind, hold: { ...hold, orderId } }))
    expectProblem(await post(checkoutPath).send(checkOut), code, { holdId: hold.id, orderId })
  })

  it('a replay is marked', async () => {
    const { post, fake } = testApp()
    fake.next = answered(bookingRenderings.checkoutEnded({ kind: 'booked', booking }), true)
    expect((await post(checkoutPath).send(checkOut)).headers['idempotent-replayed']).toBe('true')
  })

  it.each<Refusal>([
    { code: 'hold-of-another-customer', holdId: hold.id },
    { code: 'hold-expired', holdId: hold.id },
    { code: 'hold-released', holdId: hold.id },
    { code: 'hold-booked', holdId: hold.id, bookingId: booking.id },
    { code: 'hold-checking-out', holdId: hold.id, retryAfterSeconds: 1 },
    { code: 'hold-in-review', holdId: hold.id },
  ])('a hold that cannot be used is its own problem: $code', async (refusal) => {
    const { post, fake } = testApp()
    fake.next = refused(refusal)
    const { code, ...members } = refusal
    expectProblem(await post(checkoutPath).send(checkOut), code, members)
  })
})

describe('bookings', () => {
  it('they are looked at, and cancelled with or without a body', async () => {
    const { get, post } = testApp()
    expect(schemas.booking.parse((await get(`/v1/bookings/${booking.id}`)).body)).toMatchObject({ id: booking.id })
    for (const answer of [await post(cancellationPath), await post(cancellationPath).send({})])
      expect([answer.status, answer.body.state]).toEqual([200, 'cancelled'])
  })

  it('a cancellation whose refund is under way is 202, and the booking is where to look', async () => {
    const { post, fake } = testApp()
    fake.next = { kind: 'unsettled', subject: { ...booking, state: 'cancelling', isInReview: false } }
    const answer = await post(cancellationPath)
    expect([answer.status, answer.body.state, answer.headers.location]).toEqual([
      202,
      'cancelling',
      `/v1/bookings/${booking.id}`,
    ])
    schemas.booking.parse(answer.body)
  })

  it('a refund that failed leaves the booking as it is, and says why', async () => {
    const { post, fake } = testApp()
    const outcome = { state: 'failed', failureCode: 'charge_disputed' } as const
    const failed = bookingRenderings.cancellationEnded({ kind: 'refund-failed', booking, outcome } as never)
    fake.next = answered(failed)
    const members = { failureCode: 'charge_disputed', bookingId: booking.id, paymentId: booking.paymentId }
    expectProblem(await post(cancellationPath), 'refund-failed', members)
  })
})

describe('doors', () => {
  const lookedAt: [string, keyof typeof problemKinds][] = [
    [`/v1/events/${event.id}`, 'event-not-found'],
    [availabilityPath, 'event-not-found'],
    [mapPath, 'section-not-found'],
    [`/v1/events/${event.id}/changes`, 'event-not-found'],
    [`/v1/holds/${hold.id}`, 'hold-not-found'],
    [`/v1/bookings/${booking.id}`, 'booking-not-found'],
  ]

  it.each(lookedAt)('%s is unknown to another account, and to one who has its id wrong', async (path, code) => {
    const { client, get, calls } = testApp()
    expectProblem(await client.get(path).auth(foreignKey, { type: 'bearer' }), code)
    const ids = /[0-9a-f]{8}-[0-9a-f-]{27}/g
    expectProblem(await get(path.replace(ids, unknownId)), code)
    const before = calls.length
    expectProblem(await get(path.replace(ids, 'none')), code)
    expect(calls).toHaveLength(before)
  })

  it.each([
    [holdsPath, 'event-not-found', 'eventId'],
    [`/v1/holds/${hold.id}/extension`, 'hold-not-found', 'holdId'],
    [`/v1/holds/${hold.id}/release`, 'hold-not-found', 'holdId'],
    [checkoutPath, 'hold-not-found', 'holdId'],
    [cancellationPath, 'booking-not-found', 'bookingId'],
  ] as const)('%s: an id in the path that is none is unknown', async (path, code, name) => {
    const { post, calls } = testApp()
    const answer = await post(path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, 'none')).send({})
    expectProblem(answer, code, { [name]: 'none' })
    expect(calls).toEqual([])
  })

  it.each(lookedAt)('%s is for accounts', async (path) => {
    const { client } = testApp()
    expectProblem(await client.get(path), 'unauthenticated')
  })

  it('a command without its key is not begun', async () => {
    const { client, calls } = testApp()
    const { key } = await import('./test-app.ts')
    expectProblem(await client.post(holdsPath).auth(key, { type: 'bearer' }).send({}), 'idempotency-key-missing')
    expect(calls).toEqual([])
  })

  it('a stream takes GET alone, and a HEAD opens nothing', async () => {
    let followed = 0
    const { client, post } = testApp({
      follow: async () => {
        followed += 1
        return () => undefined
      },
    })
    const path = `/v1/events/${event.id}/changes`
    expectProblem(await post(path).send({}), 'method-not-allowed')
    const { key } = await import('./test-app.ts')
    const head = await client.head(path).auth(key, { type: 'bearer' })
    expect([head.status, head.headers['content-type'], followed]).toEqual([200, 'text/event-stream', 0])
  })

  it('a stream without Redis is 503, and one from a position that is none 400', async () => {
    const { get } = testApp()
    const path = `/v1/events/${event.id}/changes`
    expectProblem(await get(path), 'temporarily-unavailable')
    expectProblem(await get(path).set('Last-Event-ID', '17'), 'invalid-request')
  })
})
