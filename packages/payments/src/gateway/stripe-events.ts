import { ourIdIn } from '@seatbelt/safety'
import Stripe from 'stripe'
import type { EventSubject, GatewayEvent, NamedByUs } from '../gateway-events/gateway-event.ts'
import { idOf, readDispute, readIntent, readRefund } from './stripe-gateway.ts'

export interface StripeEventOptions {
  /** Any of them may have signed: during a rotation there are two. */
  readonly secrets: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

export type ReadGatewayEvent = (body: Buffer, signature: string | undefined) => EventRead

export type EventRead =
  | { readonly kind: 'event'; readonly event: GatewayEvent }
  | { readonly kind: 'refused'; readonly reason: EventProblem }

export type EventProblem = 'unsigned' | 'wrongly-signed' | 'too-old' | 'malformed'

/**
 * How old a signature may be; Stripe's own default. It bounds how long a recorded delivery can be replayed. It costs no
 * delivery, because Stripe signs each of its attempts anew.
 */
export const signatureToleranceSeconds = 300
/** The library takes 0 for no limit. */
const anyAge = 0

/**
 * Reads a delivered event, if the gateway signed exactly these bytes.
 *
 * Nothing is parsed before the signature is verified. The object in an event is a snapshot of the moment when the event
 * was made. An object that cannot be read (another API version, a new status) still tells by its ids what has changed.
 *
 * Source: https://docs.stripe.com/webhooks/signature, https://docs.stripe.com/api/events
 */
export function createStripeEventReader({ secrets, now = Date.now }: StripeEventOptions): ReadGatewayEvent {
  return (body, signature) => {
    if (!signature) return refused('unsigned')
    if (!isWellFormed(signature)) return refused('wrongly-signed')
    const delivery = { body, signature, secrets, atMs: now() }
    if (!isSigned(delivery, signatureToleranceSeconds))
      return refused(isSigned(delivery, anyAge) ? 'too-old' : 'wrongly-signed')
    const event = readEvent(parse(body))
    return event ? { kind: 'event', event } : refused('malformed')
  }
}

/** One or more of `t=<seconds>` and `v1=<HMAC-SHA-256 in hex>`; other schemes are ignored. */
function isWellFormed(signature: string): boolean {
  return signature.split(',').every((item) => {
    if (/^v1\b/.test(item)) return /^v1=[0-9a-f]{64}$/.test(item)
    return !/^t\b/.test(item) || /^t=\d{1,12}$/.test(item)
  })
}

interface Delivery {
  readonly body: Buffer
  readonly signature: string
  readonly secrets: readonly string[]
  readonly atMs: number
}

/**
 * Verifies before anything is parsed, so that only a signed event can be malformed. Any error of the library means that
 * this secret did not sign. Its errors quote the delivery, so none leaves this function.
 */
function isSigned({ body, signature, secrets, atMs }: Delivery, toleranceSeconds: number): boolean {
  const verifier = Stripe.webhooks.signature
  if (!verifier) throw new Error('the stripe package came without its verifier')
  return secrets.some((secret) => {
    try {
      return verifier.verifyHeader(body, signature, secret, toleranceSeconds, undefined, atMs)
    } catch {
      return false
    }
  })
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return null
  }
}

function refused(reason: EventProblem): EventRead {
  return { kind: 'refused', reason }
}

/** `stripe` declares the type of an event and checks nothing. */
function readEvent(wire: unknown): GatewayEvent | null {
  const { object, id, type, request, data, created } = asRecord(wire)
  if (object !== 'event' || !isName(id) || !isName(type)) return null
  const requestId = asRecord(request).id
  return {
    id,
    type,
    requestId: isName(requestId) ? requestId : null,
    subject: readSubject(asRecord(data).object, created),
  }
}

/** `created`: of the event, in seconds. */
function readSubject(wire: unknown, created: unknown): EventSubject {
  const { object, id, payment_intent: intent, metadata } = asRecord(wire)
  const named = namedIn(asRecord(metadata))
  if (!isName(id)) return { kind: 'other' }
  switch (object) {
    case 'payment_intent':
      return { kind: 'intent', intentId: id, named, shown: readIntent(wire as Stripe.PaymentIntent) }
    case 'refund':
      return { kind: 'refund', gatewayRefundId: id, named, shown: readRefund(wire as Stripe.Refund) }
    case 'charge': {
      const intentId = idOf(intent as Stripe.Charge['payment_intent'])
      return { kind: 'charge', intentId: isName(intentId) ? intentId : null, named }
    }
    case 'dispute': {
      const shown = readDispute(wire as Stripe.Dispute)
      if (shown === null || !isName(shown.intentId) || !Number.isSafeInteger(created)) return { kind: 'other' }
      return { kind: 'dispute', shown, seenAt: new Date(Number(created) * 1000) }
    }
    default:
      return { kind: 'other' }
  }
}

/** The metadata that we wrote on the object when we created it. */
function namedIn(metadata: Record<string, unknown>): NamedByUs {
  const id = (name: string) => ourIdIn(metadata, name)
  return { accountId: id('accountId'), orderId: id('orderId'), paymentId: id('paymentId'), refundId: id('refundId') }
}

/** An id that can be looked up and stored: Stripe's ids have at most 255 characters. */
const name = /^[\x21-\x7e]{1,255}$/

function isName(value: unknown): value is string {
  return typeof value === 'string' && name.test(value)
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
