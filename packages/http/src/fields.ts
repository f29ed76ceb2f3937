import {
  type AmountProblem,
  amountProblem,
  type Currency,
  currencies,
  formatMoney,
  type Money,
  maxAmountMinor,
} from '@seatbelt/domain'
import { z } from 'zod'
import { decodeCursor } from './keyset-cursor.ts'
import { isMailAddress } from './mail-address.ts'

/** The fields that the APIs have in common, so that the same thing is written in the same way everywhere. */
export const fields = {
  /** As we write them. An id in another spelling is none of ours, so that one order has one path. */
  id: z
    .string()
    .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'must be an id, in lower case')
    .meta({ format: 'uuid' }),

  /** What is too much or too little depends on the currency: `checkAmount`. The documented maximum is that of all. */
  amountMinor: z
    .int('must be a whole number of minor units')
    .min(1, { error: 'must be positive', abort: true })
    .meta({
      maximum: maxAmountMinor,
      description: 'In minor units: 1999 is 19.99 EUR, 1999 JPY and 1.999 KWD',
      examples: [1999],
    }),

  currency: z
    .enum(currencies, 'must be an ISO 4217 code that is charged in, in upper case')
    .meta({ examples: ['EUR'] }),

  customerId: z
    .string('must be text')
    .regex(/^[\x21-\x7e]{1,128}$/, 'must have 1 to 128 printable ASCII characters, without spaces')
    .meta({ description: "The merchant's own name for the customer", examples: ['customer-1'] }),

  paymentMethod: z
    .string('must be text')
    .regex(/^pm_[A-Za-z0-9_]{1,120}$/, "must be the gateway's id of a payment method, such as pm_card_visa")
    .meta({ examples: ['pm_card_visa'] }),

  receiptEmail: z
    .string('must be text')
    .max(254, 'must have at most 254 characters')
    .refine(isMailAddress, 'must be a mail address')
    .meta({ format: 'idn-email', description: 'Where the receipts go', examples: ['ada@example.com'] }),

  moment: z.iso.datetime().meta({ examples: ['2026-11-20T10:00:00.000Z'] }),

  /** For what needs no words: the empty object, or none. */
  emptyBody: z.strictObject({}),
}

/** A page costs one index scan of its size; a hundred rows are some 30 KiB. */
export const pageFields = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .pipe(z.coerce.number<string>().int().min(1, 'must be at least 1').max(100, 'must be at most 100'))
    .default(20),
  cursor: z
    .string()
    .refine((cursor) => decodeCursor(cursor) !== null, 'must be the nextCursor of the page before')
    .optional(),
}

/** Refuses an amount that the gateway would not charge in its currency. For schemas that have both. */
export function checkAmount(money: Money, context: z.core.$RefinementCtx): void {
  const problem = amountProblem(money)
  if (problem === null) return
  context.addIssue({ code: 'custom', path: ['amountMinor'], message: amountMessage(problem, money.currency) })
}

/** Says which amounts would be taken. */
export function amountMessage(problem: AmountProblem, currency: Currency): string {
  const amount = (amountMinor: number) => `${amountMinor} (${formatMoney({ amountMinor, currency })})`
  switch (problem.code) {
    case 'too-small':
      return `must be at least ${amount(problem.minMinor)}`
    case 'too-large':
      return `must be at most ${amount(problem.maxMinor)}`
    case 'between-units':
      return `must be a multiple of ${problem.unitMinor} in ${currency}, such as ${problem.nearestMinor.map(amount).join(' or ')}`
    default:
      return problem satisfies never
  }
}
