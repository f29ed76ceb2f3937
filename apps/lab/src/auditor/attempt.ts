import { z } from 'zod'

/** What a request was to do. `authorize` is to pay with `capture: 'manual'`. */
const operations = ['pay', 'authorize', 'capture', 'void', 'refund', 'cancel'] as const

/** As k6 writes them: a payment that an answer acknowledged, as the client read it. */
const acknowledgedPayment = z.object({
  id: z.string().max(64),
  orderId: z.string().max(64),
  amountMinor: z.number().int(),
  currency: z.string().max(3),
  state: z.string().max(32),
})

const acknowledgedRefund = z.object({
  id: z.string().max(64),
  paymentId: z.string().max(64).nullable(),
  orderId: z.string().max(64),
  amountMinor: z.number().int(),
  currency: z.string().max(3),
  state: z.string().max(32),
})

/**
 * One request of a client and what became of it. loadtests/lib/attempts.ts writes these.
 *
 * `ok`: acknowledged. `fail`: it certainly did nothing. `info`: it cannot be known from this answer.
 */
const attemptSchema = z.object({
  operation: z.enum(operations).default('pay'),
  orderId: z.string().min(1).max(64),
  key: z.string().min(1).max(255),
  /** What was asked for: the order's amount, and of a refund its own. */
  amountMinor: z.number().int(),
  currency: z.string().max(3),
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
  payment: acknowledgedPayment.nullable(),
  refund: acknowledgedRefund.nullable().default(null),
})

export type Attempt = z.infer<typeof attemptSchema>

/** Attempts at most in one batch: one iteration of a load test makes some twenty. */
const batchLimit = 1_000

export const batchSchema = z.object({
  /** Each sender numbers its batches from 1, so that a repeated batch and a missing one can be seen. */
  sender: z.string().min(1).max(64),
  number: z.number().int().min(1),
  attempts: z.array(attemptSchema).min(1).max(batchLimit),
})

export type AttemptBatch = z.infer<typeof batchSchema>

/** Problems that are the final outcome of a claim and therefore recorded under its key; all other refusals are not. */
const recordedProblems = [
  'payment-declined',
  'payment-cancelled',
  'payment-method-refused',
  'gateway-refused-request',
  'payment-voided',
  'payment-captured',
  'refund-failed',
  'checkout-voided',
  'paid-without-seats',
]

/** Was this the recorded answer to its key, which every later request with that key must get too? */
export function isRecordedAnswer({ status, code, replayed }: Pick<Attempt, 'status' | 'code' | 'replayed'>): boolean {
  // What calls itself a replay must be the recorded answer, whatever its status.
  if (status === 200 || status === 201 || replayed) return true
  return status >= 400 && code !== null && recordedProblems.includes(code)
}
