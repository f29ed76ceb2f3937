import type { BookingOperations, HoldRequest } from '@seatbelt/booking'
import type { Refusal } from '@seatbelt/domain'
import {
  defineCommand,
  defineQuery,
  holdBody,
  jsonAnswer,
  nothing,
  type Operation,
  type ProblemCode,
  refusalAnswer,
} from '@seatbelt/http'
import type { z } from 'zod'
import { checkoutAnswer, resultAnswer } from '../result-answer.ts'
import { booking, checkout, eventPath, hold, holdPath, isId, newCheckout, newHold, ownHold } from '../schemas.ts'
import { eventNotFound } from './events.ts'

type Holds = Pick<BookingOperations, 'holdSeats' | 'extendHold' | 'releaseHold' | 'checkOut' | 'findHold'>

/** What is set aside for a while: made, looked at, extended, released, checked out. */
export function holdRoutes(operations: Holds): Operation[] {
  return [
    holdSeats(operations),
    getHold(operations),
    extendHold(operations),
    releaseHold(operations),
    checkOut(operations),
  ]
}

function holdSeats(operations: Holds): Operation {
  return defineCommand({
    path: '/v1/events/:eventId/holds',
    operationId: 'holdSeats',
    tag: 'Holds',
    summary: 'Hold seats, or places of a tier, for a while',
    description:
      'All of what is asked for, or nothing: the seats that are named; so many places of a tier; or so many seats side by side in a section, the best there are. The price is that of this moment. Where a pause is configured, a customer whose hold of some seats ended without a payment holds other seats, or the same ones after Retry-After.',
    params: eventPath,
    unknownId: eventNotFound,
    body: newHold,
    answers: { 201: { description: 'The hold, active until expiresAt', schema: hold } },
    problems: [
      'event-not-found',
      'event-not-on-sale',
      'section-not-found',
      'tier-not-found',
      'seats-not-found',
      'seats-of-another-event',
      'seats-named-twice',
      'too-many-seats',
      'quantity-not-positive',
      'quantity-over-capacity',
      'customer-holds-too-many',
      'customer-has-too-many',
      'seats-held-recently',
      'seats-taken',
      'sold-out',
      'no-adjacent-seats',
      'hold-in-progress',
    ],
    handle: async ({ call, params: { eventId }, body }) => {
      const of = readHoldRequest(body)
      if ('code' in of) return refusalAnswer(of)
      return resultAnswer(await operations.holdSeats(call, { eventId, customerId: body.customerId, of }))
    },
  })
}

/** What cannot be an id is as unknown as one that nobody knows. */
function readHoldRequest(body: z.output<typeof newHold>): HoldRequest | Refusal {
  const { seatIds = [], tierId, sectionId, quantity = 0 } = body
  if (tierId !== undefined)
    return isId(tierId) ? { kind: 'places', tierId, quantity } : { code: 'tier-not-found', tierId }
  if (sectionId !== undefined)
    return isId(sectionId) ? { kind: 'adjacent', sectionId, quantity } : { code: 'section-not-found', sectionId }
  const unknown = seatIds.filter((seatId) => !isId(seatId))
  return unknown.length === 0 ? { kind: 'seats', seatIds } : { code: 'seats-not-found', seatIds: unknown }
}

function getHold(operations: Holds): Operation {
  return defineQuery({
    path: '/v1/holds/:holdId',
    operationId: 'getHold',
    tag: 'Holds',
    summary: 'Look at a hold',
    description: 'One whose time is over has expired.',
    params: holdPath,
    unknownId: holdNotFound,
    query: nothing,
    answers: { 200: { description: 'The hold', schema: hold } },
    problems: ['hold-not-found'],
    handle: async ({ accountId, params: { holdId } }) => {
      const found = await operations.findHold(accountId, holdId)
      return found === null ? refusalAnswer(holdNotFound({ holdId })) : jsonAnswer(200, holdBody(found))
    },
  })
}

/** Why a hold cannot be used by a customer. */
const unusable = [
  'hold-not-found',
  'hold-of-another-customer',
  'hold-expired',
  'hold-released',
  'hold-booked',
  'hold-checking-out',
  'hold-in-review',
] as const satisfies readonly ProblemCode[]

function extendHold(operations: Holds): Operation {
  return defineCommand({
    path: '/v1/holds/:holdId/extension',
    operationId: 'extendHold',
    tag: 'Holds',
    summary: 'Begin the time of a hold anew, once',
    description:
      'Only while its event is on sale. A hold that is live may be checked out until it expires, also later.',
    params: holdPath,
    unknownId: holdNotFound,
    body: ownHold,
    answers: { 200: { description: 'The hold, with its new expiresAt', schema: hold } },
    problems: [...unusable, 'hold-extended-before', 'event-not-on-sale'],
    handle: async ({ call, params: { holdId }, body: { customerId } }) =>
      resultAnswer(await operations.extendHold(call, { holdId, customerId })),
  })
}

function releaseHold(operations: Holds): Operation {
  return defineCommand({
    path: '/v1/holds/:holdId/release',
    operationId: 'releaseHold',
    tag: 'Holds',
    summary: 'Give back what is held',
    params: holdPath,
    unknownId: holdNotFound,
    body: ownHold,
    answers: { 200: { description: 'The hold, released', schema: hold } },
    problems: unusable,
    handle: async ({ call, params: { holdId }, body: { customerId } }) =>
      resultAnswer(await operations.releaseHold(call, { holdId, customerId })),
  })
}

function checkOut(operations: Holds): Operation {
  return defineCommand({
    path: '/v1/holds/:holdId/checkout',
    operationId: 'checkOut',
    tag: 'Holds',
    summary: 'Pay for a hold and book what it is of',
    description:
      'The amount is put on hold, the seats are booked, and then the amount is taken. After a decline the hold has the time that was left when the checkout began; with the third it is over. 202: the outcome is being found out. Look at the hold, or send the same request with the same key.',
    params: holdPath,
    unknownId: holdNotFound,
    body: newCheckout,
    answers: {
      201: { description: 'The booking', schema: booking },
      202: { description: 'The checkout, not settled yet', schema: checkout },
    },
    problems: [
      ...unusable,
      'payment-declined',
      'payment-cancelled',
      'payment-method-refused',
      'gateway-refused-request',
      'gateway-forbids-operation',
      'order-blocked',
      'checkout-voided',
      'paid-without-seats',
      'too-many-declines',
    ],
    handle: async ({ call, params: { holdId }, body: { customerId, paymentMethod, receiptEmail = null } }) =>
      checkoutAnswer(await operations.checkOut(call, { holdId, customerId, paymentMethod, receiptEmail })),
  })
}

function holdNotFound({ holdId = '' }: { readonly holdId?: string }): Refusal {
  return { code: 'hold-not-found', holdId }
}
