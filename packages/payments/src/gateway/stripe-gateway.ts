import type { Gateway, GatewayAnswer, GatewayIntent, IntentParameters } from '@seatbelt/safety'
import Stripe from 'stripe'
import { createStripeHttpClient, TransportFailure } from './stripe-http-client.ts'

export interface StripeGatewayOptions {
  /** Origin of Stripe or of the simulator: `https://api.stripe.com`, `http://127.0.0.1:4010`. */
  readonly url: string
  readonly apiKey: string
  /** For one request, from the call to the last byte of its answer. */
  readonly deadlineMs: number
  readonly maxConnections: number
}

/**
 * The gateway port over Stripe's protocol.
 *
 * Each call is one request on the wire at most, never sent again, and answered within the deadline. Whatever comes back
 * becomes a `GatewayAnswer`; nothing that a gateway or a network may do is thrown. Neither answers nor errors carry the
 * key.
 *
 * Source: https://docs.stripe.com/api/payment_intents, https://docs.stripe.com/error-low-level
 */
export function createStripeGateway(options: StripeGatewayOptions): Gateway & { close(): Promise<void> } {
  const url = new URL(options.url)
  const transport = createStripeHttpClient({ ...options, origin: url.origin })
  const { paymentIntents } = new Stripe(options.apiKey, {
    host: url.hostname,
    port: url.port || defaultPort(url),
    protocol: url.protocol === 'http:' ? 'http' : 'https',
    httpClient: transport.httpClient,
    // The transport never retries and keeps the deadline; these only keep `stripe` from doing either on its own.
    maxNetworkRetries: 0,
    timeout: options.deadlineMs,
    // It would send timings and an id of this machine, and write that id into the home directory.
    telemetry: false,
  })

  return {
    createIntent: (parameters, idempotencyKey) =>
      sortAnswer(() => paymentIntents.create(creationOf(parameters), { idempotencyKey })),
    confirmIntent: (intentId, idempotencyKey) =>
      sortAnswer(() => paymentIntents.confirm(intentId, { error_on_requires_action: true }, { idempotencyKey })),
    cancelIntent: (intentId, idempotencyKey) =>
      sortAnswer(() => paymentIntents.cancel(intentId, {}, { idempotencyKey })),
    retrieveIntent: (intentId) => sortAnswer(() => paymentIntents.retrieve(intentId)),
    close: () => transport.close(),
  }
}

function defaultPort(url: URL): string {
  return url.protocol === 'http:' ? '80' : '443'
}

/**
 * The exact parameters of a creation. `error_on_requires_action` is missing on purpose: Stripe takes it here only
 * together with `confirm=true`, so it goes with the confirm. And `payment_method_types` is gone since its version 2026-09-30.
 */
function creationOf({ amountMinor, currency, paymentMethod, metadata }: IntentParameters) {
  return {
    amount: amountMinor,
    currency: currency.toLowerCase(),
    confirm: false,
    payment_method: paymentMethod,
    allowed_payment_method_types: ['card'],
    metadata: { paymentId: metadata.paymentId, orderId: metadata.orderId, accountId: metadata.accountId },
  } satisfies Stripe.PaymentIntentCreateParams
}

async function sortAnswer(ask: () => Promise<Stripe.Response<Stripe.PaymentIntent>>): Promise<GatewayAnswer> {
  let answer: Stripe.Response<Stripe.PaymentIntent>
  try {
    answer = await ask()
  } catch (error) {
    return sortError(error)
  }
  const { requestId = null, statusCode } = answer.lastResponse
  const intent = readIntent(answer)
  return intent
    ? { kind: 'intent', intent, requestId }
    : { kind: 'unknown', reason: 'unreadable', status: statusCode, requestId }
}

/** The one table of what an answer without an intent proves. */
function sortError(error: unknown): GatewayAnswer {
  if (!(error instanceof Stripe.errors.StripeError)) throw error
  const failure: unknown = error.detail
  if (failure instanceof TransportFailure) {
    return { kind: 'unknown', reason: failure.reason, status: failure.status, requestId: failure.requestId }
  }
  const status = error.statusCode ?? null
  const requestId = error.requestId ?? null
  const unknown = (reason: Extract<GatewayAnswer, { kind: 'unknown' }>['reason']): GatewayAnswer => {
    return { kind: 'unknown', reason, status, requestId }
  }
  if (status === null || status < 400) return unknown('unreadable')
  if (status >= 500) return unknown('server-error')
  if (status === 401 || status === 403) return unknown('unauthorized')
  if (status === 409) return unknown('key-in-use')
  if (status === 429) return unknown('rate-limited')
  if (error.rawType === 'idempotency_error') return unknown('key-reused')
  if (status === 402 && error.rawType === 'card_error') {
    return { kind: 'declined', declineCode: declineCodeOf(error) ?? 'card_declined', requestId }
  }
  return { kind: 'rejected', status, errorCode: error.code || error.rawType || 'unknown', requestId }
}

const intentStatuses: readonly GatewayIntent['status'][] = [
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
  'processing',
  'requires_capture',
  'succeeded',
  'canceled',
]

/** `stripe` checks no types at run time, and a 200 from a proxy is not an intent. Null where something is amiss. */
function readIntent(wire: Stripe.PaymentIntent): GatewayIntent | null {
  const status = intentStatuses.find((known) => known === wire.status)
  const isSound =
    wire.object === 'payment_intent' &&
    typeof wire.id === 'string' &&
    Number.isSafeInteger(wire.amount) &&
    typeof wire.currency === 'string' &&
    typeof wire.metadata === 'object' &&
    wire.metadata !== null
  if (!isSound || !status) return null
  return {
    id: wire.id,
    status,
    amountMinor: wire.amount,
    currency: wire.currency.toUpperCase(),
    chargeId: holdsMoney(status) ? chargeIdOf(wire.latest_charge) : null,
    declineCode: wire.last_payment_error ? declineCodeOf(wire.last_payment_error) : null,
    metadata: wire.metadata,
  }
}

/** `latest_charge` may also be a charge that failed. */
function holdsMoney(status: GatewayIntent['status']): boolean {
  return status === 'succeeded' || status === 'requires_capture'
}

function chargeIdOf(charge: string | Stripe.Charge | null): string | null {
  return typeof charge === 'object' ? (charge?.id ?? null) : charge
}

/**
 * The decline code, or the error code where Stripe gives none (`expired_card`, `incorrect_cvc`, `processing_error`).
 * `authentication_required` stays what it is: its decline code only says that we handle no 3-D Secure.
 */
function declineCodeOf(error: { code?: string; decline_code?: string }): string | null {
  if (error.code === 'authentication_required') return error.code
  return error.decline_code || error.code || null
}
