import { mostOfEvent } from '@seatbelt/booking'
import {
  amountProblem,
  type BookingState,
  type Currency,
  type DisputeState,
  type HoldState,
  maxAmountMinor,
  maxPriceMinor,
  mostSeatsPerHold,
  type PaymentState,
  type SeatState,
} from '@seatbelt/domain'
import { amountMessage, fields, pageFields } from '@seatbelt/http'
import { z } from 'zod'

const { id, amountMinor, currency, customerId, paymentMethod, receiptEmail, moment } = fields

const holdStates = ['active', 'checking_out', 'booked', 'released', 'expired'] as const satisfies readonly HoldState[]
const bookingStates = ['pending', 'confirmed', 'cancelling', 'cancelled'] as const satisfies readonly BookingState[]
const paymentStates = [
  'processing',
  'authorized',
  'capturing',
  'voiding',
  'succeeded',
  'declined',
  'cancelled',
  'voided',
  'needs_review',
] as const satisfies readonly PaymentState[]
const disputeStates = ['inquiry', 'open', 'won', 'lost', 'closed'] as const satisfies readonly DisputeState[]
const seatStates = ['free', 'held', 'booked'] as const satisfies readonly SeatState[]

// What is sent to us. -------------------------------------------------------------------------------------------------

/** PostgreSQL takes neither U+0000 nor half of a surrogate pair, and a name is one line. */
function nameOf(longest: number) {
  return z
    .string('must be text')
    .regex(
      new RegExp(`^[^\\p{Cc}\\p{Cs}]{1,${longest}}$`, 'u'),
      `must have 1 to ${longest} whole characters, on one line`,
    )
}

/** What is too much or too little depends on the event's currency: `priceProblem`. */
const priceMinor = z
  .int('must be a whole number of minor units')
  .min(1, { error: 'must be positive', abort: true })
  .meta({
    maximum: Math.floor(maxAmountMinor / mostSeatsPerHold),
    description: 'Of one seat, in minor units: 1999 is 19.99 EUR, 1999 JPY and 1.999 KWD',
    examples: [4500],
  })

const seatNumber = z.int('must be a whole number').min(1, 'must be at least 1').max(9_999, 'must be at most 9999')

/** The widest rows of the largest halls have some hundred seats. */
const mostSeatsPerRow = 500

const row = z
  .strictObject({
    name: nameOf(20).meta({ examples: ['A'] }),
    from: seatNumber.describe('The first number'),
    to: seatNumber.describe('The last number'),
    missing: z.array(seatNumber).max(mostSeatsPerRow).default([]).describe('Where there is no chair'),
    accessible: z
      .array(seatNumber)
      .max(mostSeatsPerRow)
      .default([])
      .describe('For wheelchairs; never chosen as adjacent'),
  })
  .superRefine((row, context) => {
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (row.to < row.from) return complain('to', 'must not be before from')
    if (row.to - row.from >= mostSeatsPerRow) return complain('to', `must be less than ${mostSeatsPerRow} after from`)
    // A body may have 7,000 rows of 500 seats: nothing here may cost more than the lists that were sent.
    const missing = new Set(row.missing)
    const isInRow = (number: number) => number >= row.from && number <= row.to
    if ([...missing].filter(isInRow).length > row.to - row.from) return complain('missing', 'must leave a seat')
    if (missing.size < row.missing.length) complain('missing', 'must name each number once')
    if (!isDistinct(row.accessible)) complain('accessible', 'must name each number once')
    if (!row.missing.every(isInRow)) complain('missing', 'must be numbers of the row')
    if (!row.accessible.every((number) => isInRow(number) && !missing.has(number)))
      complain('accessible', 'must be seats of the row')
  })

const newSection = z
  .strictObject({
    name: nameOf(100).meta({ examples: ['Stalls'] }),
    priceMinor,
    rows: z
      .array(row)
      .min(1, 'must have a row')
      .max(mostOfEvent.rowsPerSection, `must have at most ${mostOfEvent.rowsPerSection} rows`)
      .describe('From the stage backwards'),
  })
  .superRefine(({ rows }, context) => {
    if (!isDistinct(rows.map(({ name }) => name)))
      context.addIssue({ code: 'custom', path: ['rows'], message: 'must have names that differ' })
    if (seatsIn(rows) > mostOfEvent.seatsPerSection)
      context.addIssue({
        code: 'custom',
        path: ['rows'],
        message: `must have at most ${mostOfEvent.seatsPerSection} seats`,
      })
  })

const newTier = z.strictObject({
  name: nameOf(100).meta({ examples: ['Standing'] }),
  priceMinor,
  capacity: z
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(1_000_000, 'must be at most 1000000')
    .describe('How many places there are'),
})

/** Nothing was sold before there were computers, and with its offset a moment of 9999 can be one of a year that no format has. */
const firstMomentMs = 0
const lastMomentMs = Date.UTC(9999, 0, 1)
const saleMoment = z.iso
  .datetime({ offset: true, error: 'must be a date and time, such as 2026-11-20T10:00:00Z' })
  .refine(
    (text) => Date.parse(text) > firstMomentMs && Date.parse(text) < lastMomentMs,
    'must be after 1970 and before 9999',
  )

export const newEvent = z
  .strictObject({
    name: nameOf(200).meta({ examples: ['An evening of chamber music'] }),
    currency,
    saleOpensAt: saleMoment.meta({ examples: ['2026-11-20T10:00:00Z'] }),
    saleClosesAt: saleMoment.meta({ examples: ['2026-12-20T19:00:00Z'] }),
    seatsPerCustomer: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(100, 'must be at most 100')
      .default(10)
      .describe('How many seats and places one customer may hold at once'),
    seatsPerCustomerInAll: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(1_000, 'must be at most 1000')
      .nullable()
      .default(null)
      .describe(
        'How many seats and places one customer may have in all: held, and booked without being cancelled. Null: no limit',
      ),
    sections: z
      .array(newSection)
      .max(mostOfEvent.sections, `must be at most ${mostOfEvent.sections}`)
      .default([])
      .describe('With numbered seats'),
    tiers: z
      .array(newTier)
      .max(mostOfEvent.tiers, `must be at most ${mostOfEvent.tiers}`)
      .default([])
      .describe('Without'),
  })
  .superRefine(({ currency, saleOpensAt, saleClosesAt, sections, tiers }, context) => {
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (Date.parse(saleClosesAt) <= Date.parse(saleOpensAt)) complain('saleClosesAt', 'must be after saleOpensAt')
    if (sections.length + tiers.length === 0) complain('sections', 'must have a section, or tiers a tier')
    for (const [path, parts] of Object.entries({ sections, tiers }))
      if (!isDistinct(parts.map(({ name }) => name))) complain(path, 'must have names that differ')
    if (sections.reduce((sum, { rows }) => sum + seatsIn(rows), 0) > mostOfEvent.seats)
      complain('sections', `must have at most ${mostOfEvent.seats} seats together`)
    for (const [name, parts] of Object.entries({ sections, tiers }))
      for (const [at, { priceMinor }] of parts.entries()) {
        const message = priceProblem(priceMinor, currency)
        if (message !== null) context.addIssue({ code: 'custom', path: [name, at, 'priceMinor'], message })
      }
  })

/** The gateway must charge the price of one seat, and of as many as can be held at once. */
function priceProblem(priceMinor: number, currency: Currency): string | null {
  const maxMinor = maxPriceMinor(currency, mostSeatsPerHold)
  if (priceMinor > maxMinor)
    return `${amountMessage({ code: 'too-large', maxMinor }, currency)}, so that ${mostSeatsPerHold} can be paid with one charge`
  const problem = amountProblem({ amountMinor: priceMinor, currency })
  return problem && amountMessage(problem, currency)
}

function isDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}

function seatsIn(rows: readonly z.output<typeof row>[]): number {
  return rows.reduce((sum, row) => sum + row.to - row.from + 1 - row.missing.length, 0)
}

/** Whatever it is: one that is none of ours is unknown, which is for the operation to say. */
const anyId = z.string('must be text').max(100, 'must be an id').meta({ format: 'uuid' })

/** Far more than a hold can be of: what is too much is for the operation to say, with its own code. */
const mostSeatsNamed = 100

export const newHold = z
  .strictObject({
    customerId,
    seatIds: z
      .array(anyId)
      .max(mostSeatsNamed, `must be at most ${mostSeatsNamed}`)
      .optional()
      .describe(`These seats; ${mostSeatsPerHold} at most`),
    tierId: anyId.optional().describe('So many places of this tier'),
    sectionId: anyId.optional().describe('So many seats side by side in a row of this section, the best there are'),
    quantity: z.int('must be a whole number').optional().describe(`1 to ${mostSeatsPerHold}`),
  })
  .superRefine(({ seatIds, tierId, sectionId, quantity }, context) => {
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const asked = [seatIds, tierId, sectionId].filter((one) => one !== undefined)
    if (asked.length !== 1) return complain('', 'must have either seatIds, tierId or sectionId')
    if (seatIds !== undefined && quantity !== undefined) complain('quantity', 'does not go with seatIds')
    if (seatIds === undefined && quantity === undefined) complain('quantity', 'is required')
  })

export const ownHold = z.strictObject({ customerId: customerId.describe('Whose hold it is') })
export const newCheckout = z.strictObject({ customerId, paymentMethod, receiptEmail: receiptEmail.optional() })
export const { emptyBody } = fields

export const eventPath = z.strictObject({ eventId: id })
export const sectionPath = z.strictObject({ eventId: id, sectionId: id })
export const holdPath = z.strictObject({ holdId: id })
export const bookingPath = z.strictObject({ bookingId: id })
export const eventPage = z.strictObject(pageFields)

/** Is it written as our ids are? */
export function isId(text: string): boolean {
  return id.safeParse(text).success
}

// What we send. -------------------------------------------------------------------------------------------------------

const section = z.strictObject({ id, name: z.string(), priceMinor, seats: z.int() })
const tier = z.strictObject({ id, name: z.string(), priceMinor, capacity: z.int() })

export const event = z.strictObject({
  id,
  name: z.string(),
  currency,
  saleOpensAt: moment,
  saleClosesAt: moment,
  seatsPerCustomer: z.int(),
  seatsPerCustomerInAll: z.int().nullable(),
  createdAt: moment,
  sections: z.array(section),
  tiers: z.array(tier),
})
export const eventList = z.strictObject({ items: z.array(event), nextCursor: z.string().nullable() })

const left = { free: z.int(), held: z.int() }
export const availability = z.strictObject({
  sections: z.array(section.extend({ ...left, booked: z.int() })),
  tiers: z.array(tier.extend({ ...left, sold: z.int() })),
})

export const seatMap = z.strictObject({
  section,
  rows: z.array(
    z.strictObject({
      name: z.string(),
      seats: z.array(z.strictObject({ id, number: z.int(), accessible: z.boolean(), state: z.enum(seatStates) })),
    }),
  ),
})

export const seatChange = z.strictObject({
  seatIds: z.array(id).describe('Empty for places of a tier'),
  tierId: id.nullable(),
  quantity: z.int(),
  state: z.enum(seatStates).describe('What they are now'),
})

const held = {
  seatIds: z.array(id).describe('Empty for places of a tier'),
  tierId: id.nullable(),
  quantity: z.int(),
  amountMinor,
  currency,
}

export const hold = z.strictObject({
  id,
  eventId: id,
  customerId,
  state: z.enum(holdStates).describe('booked once the money is taken; released again when its booking is cancelled'),
  ...held,
  expiresAt: moment,
  extended: z.boolean(),
  checkouts: z.int().describe('How often it was tried to pay for it'),
  orderId: id.nullable().describe('The order of the latest checkout'),
  bookingId: id.nullable().describe('From the moment on at which the money is reserved'),
  bookingState: z.enum(bookingStates).nullable(),
  createdAt: moment,
})

export const checkout = z.strictObject({
  holdId: id,
  orderId: id,
  paymentId: id,
  state: z.literal('checking_out'),
})

export const booking = z.strictObject({
  id,
  eventId: id,
  customerId,
  holdId: id,
  orderId: id,
  paymentId: id,
  paymentState: z.enum(paymentStates),
  refundId: id.nullable().describe('Of the latest cancellation'),
  state: z.enum(bookingStates),
  ...held,
  capturedMinor: z.int().describe('What was taken for it'),
  refundedMinor: z.int().describe('What was refunded of that, also without a cancellation'),
  disputeState: z
    .enum(disputeStates)
    .nullable()
    .describe('While it is open, or won and its money not yet returned, the booking cannot be cancelled'),
  disputedMinor: z.int().describe('The amount that disputes withdrew of that and did not reinstate'),
  owedMinor: z
    .int()
    .describe(
      'The customer must still receive this amount, because a refund failed, or a dispute was won, after the cancellation: refund the payment',
    ),
  createdAt: moment,
  confirmedAt: moment.nullable(),
  cancelledAt: moment.nullable(),
})

/** The names under which the OpenAPI document has them. */
export const namedSchemas = {
  NewEvent: newEvent,
  Event: event,
  EventList: eventList,
  Availability: availability,
  SeatMap: seatMap,
  SeatChange: seatChange,
  NewHold: newHold,
  OwnHold: ownHold,
  Hold: hold,
  NewCheckout: newCheckout,
  Checkout: checkout,
  Booking: booking,
  Empty: emptyBody,
}
