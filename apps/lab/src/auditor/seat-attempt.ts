import { z } from 'zod'

/** The most seats that one request can name. */
const seatsLimit = 10
const id = z.string().min(1).max(64)
/** As an answer wrote it. */
const time = z.iso.datetime({ offset: true }).max(40)

const ofSeatsOrPlaces = {
  seatIds: z.array(id).max(seatsLimit),
  tierId: id.nullable(),
  quantity: z.number().int(),
}

/** As k6 writes them: a hold and a booking that an answer acknowledged, as the client read them. */
const acknowledgedHold = z.object({
  ...{ id, eventId: id, customerId: z.string().max(255), state: z.string().max(32) },
  ...ofSeatsOrPlaces,
  amountMinor: z.number().int(),
  currency: z.string().max(3),
  expiresAt: time,
})

const acknowledgedBooking = z.object({
  ...{ id, eventId: id, customerId: z.string().max(255), state: z.string().max(32) },
  ...ofSeatsOrPlaces,
  ...{ holdId: id, orderId: id, paymentId: id },
  amountMinor: z.number().int(),
  currency: z.string().max(3),
})

/** What a card that was refused, or given up, leaves of a hold. */
const failedCheckout = z.object({ orderId: id, holdState: z.string().max(32), expiresAt: time })

/**
 * One request about seats or places and what became of it. loadtests/lib/seat-attempts.ts writes these.
 *
 * They are no payments, so that neither the figures nor the latencies of payments see them.
 */
const seatAttemptSchema = z.object({
  operation: z.enum(['hold', 'extend', 'release', 'checkout', 'cancel']),
  customerId: z.string().min(1).max(255),
  eventId: id,
  key: z.string().min(1).max(255),
  /** What was asked for. No seats: places of the tier, or whatever seats are side by side. */
  ...ofSeatsOrPlaces,
  /** What was to be extended, released, checked out; null for what makes one. */
  holdId: id.nullable(),
  bookingId: id.nullable(),
  sentAt: z.number(),
  endedAt: z.number(),
  inFlightMs: z.number().min(0),
  outcome: z.enum(['ok', 'fail', 'info']),
  status: z.number().int().min(0).max(599),
  code: z.string().max(100).nullable(),
  replayed: z.boolean(),
  instance: z.string().max(100).nullable(),
  bodySha256: z.string().length(64).nullable(),
  location: z.string().max(200).nullable(),
  hold: acknowledgedHold.nullable(),
  booking: acknowledgedBooking.nullable(),
  failedCheckout: failedCheckout.nullable(),
})

export type SeatAttempt = z.infer<typeof seatAttemptSchema>

/** As many as of payments. */
const batchLimit = 1_000

export const seatBatchSchema = z.object({
  /** Numbers its batches from 1, as the senders of payments do; whoever sends both is two senders. */
  sender: z.string().min(1).max(64),
  number: z.number().int().min(1),
  attempts: z.array(seatAttemptSchema).min(1).max(batchLimit),
})

export type SeatAttemptBatch = z.infer<typeof seatBatchSchema>
