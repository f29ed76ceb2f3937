import type {
  CustomerAnswer,
  DisputeAnswer,
  Gateway,
  GatewayAnswer,
  GatewayCharge,
  GatewayDispute,
  GatewayIntent,
  GatewayPage,
  GatewayRefund,
  IntentParameters,
  ListAnswer,
  NoAnswer,
  RefundAnswer,
  RefundParameters,
  RefusedPart,
  UnknownReason,
} from '@seatbelt/safety'
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

export interface StripeGateway extends Gateway {
  /** The account that the key opens, with the key's mode: `acct_1:test`. Null: there was no usable answer. */
  retrieveAccount(): Promise<string | null>
  close(): Promise<void>
}

/**
 * The gateway port over Stripe's protocol.
 *
 * Each call is at most one request on the wire, is never sent again, and is answered within the deadline. Everything
 * that a gateway or a network may do becomes an answer; nothing is thrown. Neither answers nor errors carry the API
 * key.
 *
 * Source: https://docs.stripe.com/api/payment_intents, https://docs.stripe.com/error-low-level
 */
export function createStripeGateway(options: StripeGatewayOptions): StripeGateway {
  const url = new URL(options.url)
  const transport = createStripeHttpClient({ ...options, origin: url.origin })
  const { accounts, paymentIntents, refunds, charges, disputes, customers } = new Stripe(options.apiKey, {
    host: url.hostname,
    port: url.port || defaultPort(url),
    protocol: url.protocol === 'http:' ? 'http' : 'https',
    httpClient: transport.httpClient,
    // The transport never retries and keeps the deadline. These two keep `stripe` from doing either on its own.
    maxNetworkRetries: 0,
    timeout: options.deadlineMs,
    // Telemetry sends timings and an id of this machine, and writes that id into the home directory.
    telemetry: false,
  })

  return {
    createIntent: (parameters, idempotencyKey) =>
      askForIntent(() => paymentIntents.create(creationOf(parameters), { idempotencyKey })),
    confirmIntent: (intentId, parameters, idempotencyKey) =>
      askForIntent(() => paymentIntents.confirm(intentId, confirmationOf(parameters), { idempotencyKey })),
    captureIntent: (intentId, idempotencyKey) =>
      askForIntent(() => paymentIntents.capture(intentId, {}, { idempotencyKey })),
    cancelIntent: (intentId, idempotencyKey) =>
      askForIntent(() => paymentIntents.cancel(intentId, {}, { idempotencyKey })),
    retrieveIntent: (intentId) => askForIntent(() => paymentIntents.retrieve(intentId)),

    createRefund: (parameters, idempotencyKey) =>
      askForRefund(() => refunds.create(refundOf(parameters), { idempotencyKey })),
    retrieveRefund: (gatewayRefundId) => askForRefund(() => refunds.retrieve(gatewayRefundId)),
    listRefundsOf: (intentId) =>
      askForList(() => refunds.list({ payment_intent: intentId, limit: longestPage }), readRefund),

    createCustomer: ({ accountId, customerId }, idempotencyKey) =>
      askForCustomer(() => customers.create({ metadata: { accountId, customerId } }, { idempotencyKey })),
    retrieveCustomer: (gatewayCustomerId) => askForCustomer(() => customers.retrieve(gatewayCustomerId)),

    listCharges: (page) => askForList(() => charges.list(pageOf(page)), readCharge),
    listRefunds: (page) => askForList(() => refunds.list(pageOf(page)), readRefund),
    listDisputes: (page) => askForList(() => disputes.list(pageOf(page)), readDispute),
    retrieveDispute: (id) => askForDispute(() => disputes.retrieve(id)),
    retrieveAccount: () => retrieveAccount(() => accounts.retrieveCurrent(), options.apiKey),
    close: () => transport.close(),
  }
}

/** A live key and a test key can open one account, and neither sees the objects of the other. */
async function retrieveAccount(
  ask: () => Promise<Stripe.Response<Stripe.Account>>,
  apiKey: string,
): Promise<string | null> {
  const mode = /^[a-z]+_live_/.test(apiKey) ? 'live' : 'test'
  const answer = await sortAnswer(ask, ({ object, id }) =>
    object === 'account' && typeof id === 'string' ? { kind: 'account', id: `${id}:${mode}` } : null,
  )
  return answer.kind === 'account' ? answer.id : null
}

/** The longest page that the gateway sends. */
const longestPage = 100

function defaultPort(url: URL): string {
  return url.protocol === 'http:' ? '80' : '443'
}

/**
 * The exact parameters of a creation. With `cardWith`, it carries only what the order fixes.
 *
 * `error_on_requires_action` is missing on purpose: Stripe accepts it here only together with `confirm=true`, so it
 * goes with the confirm. `payment_method_types` no longer exists since Stripe's version 2026-09-30.
 */
function creationOf(parameters: IntentParameters) {
  const { amountMinor, currency, paymentMethod, cardWith, metadata, captureMethod, offSessionCustomer } = parameters
  const hasCard = cardWith !== 'confirm'
  return {
    amount: amountMinor,
    currency: currency.toLowerCase(),
    confirm: false,
    ...(hasCard && { payment_method: paymentMethod }),
    allowed_payment_method_types: ['card'],
    metadata: { paymentId: metadata.paymentId, orderId: metadata.orderId, accountId: metadata.accountId },
    ...(hasCard && captureMethod && { capture_method: captureMethod }),
    ...(offSessionCustomer && { customer: offSessionCustomer }),
  } satisfies Stripe.PaymentIntentCreateParams
}

/** `off_session` goes with the confirm, because it says that no customer is there to authenticate. */
function confirmationOf({ paymentMethod, cardWith, captureMethod, offSessionCustomer }: IntentParameters) {
  const hasCard = cardWith === 'confirm'
  return {
    ...(hasCard && { payment_method: paymentMethod }),
    ...(hasCard && captureMethod && { capture_method: captureMethod }),
    error_on_requires_action: true,
    ...(offSessionCustomer && { off_session: true }),
  } satisfies Stripe.PaymentIntentConfirmParams
}

function refundOf({ intentId, amountMinor, metadata }: RefundParameters) {
  return {
    payment_intent: intentId,
    amount: amountMinor,
    metadata: { refundId: metadata.refundId, orderId: metadata.orderId, accountId: metadata.accountId },
  } satisfies Stripe.RefundCreateParams
}

function pageOf({ createdFrom, createdTo, after, limit }: GatewayPage) {
  return {
    created: { gte: Math.floor(createdFrom.getTime() / 1000), lte: Math.floor(createdTo.getTime() / 1000) },
    limit: Math.min(limit, longestPage),
    ...(after !== null && { starting_after: after }),
  }
}

function askForIntent(ask: () => Promise<Stripe.Response<Stripe.PaymentIntent>>): Promise<GatewayAnswer> {
  return sortAnswer(ask, (wire, requestId) => {
    const intent = readIntent(wire)
    return intent && { kind: 'intent', intent, requestId }
  })
}

function askForRefund(ask: () => Promise<Stripe.Response<Stripe.Refund>>): Promise<RefundAnswer> {
  return sortAnswer(ask, (wire, requestId) => {
    const refund = readRefund(wire)
    return refund && { kind: 'refund', refund, requestId }
  })
}

function askForDispute(ask: () => Promise<Stripe.Response<Stripe.Dispute>>): Promise<DisputeAnswer> {
  return sortAnswer(ask, (wire, requestId) => {
    const dispute = readDispute(wire)
    return dispute && { kind: 'dispute', dispute, requestId }
  })
}

function askForCustomer(
  ask: () => Promise<Stripe.Response<Stripe.Customer | Stripe.DeletedCustomer>>,
): Promise<CustomerAnswer> {
  return sortAnswer(ask, (wire, requestId) => {
    if (wire.object !== 'customer' || typeof wire.id !== 'string') return null
    return { kind: 'customer', customer: { id: wire.id, metadata: wire.deleted ? {} : wire.metadata }, requestId }
  })
}

/** A list with an item that cannot be read counts as unreadable, because nothing could be said to be absent from it. */
function askForList<Wire, Item>(
  ask: () => Promise<Stripe.Response<Stripe.ApiList<Wire>>>,
  read: (wire: Wire) => Item | null,
): Promise<ListAnswer<Item>> {
  return sortAnswer(ask, (wire, requestId) => {
    if (wire.object !== 'list' || !Array.isArray(wire.data)) return null
    const items = wire.data.map(read).filter((item) => item !== null)
    return items.length === wire.data.length ? { kind: 'list', items, hasMore: wire.has_more, requestId } : null
  })
}

async function sortAnswer<Wire, Answer>(
  ask: () => Promise<Stripe.Response<Wire>>,
  read: (wire: Wire, requestId: string | null) => Answer | null,
): Promise<Answer | NoAnswer> {
  let answer: Stripe.Response<Wire>
  try {
    answer = await withoutStack(ask)
  } catch (error) {
    return sortError(error)
  }
  const { requestId = null, statusCode } = answer.lastResponse
  const unreadable = { kind: 'unknown', reason: 'unreadable', status: statusCode, replayed: false, requestId } as const
  return read(answer, requestId) ?? unreadable
}

/**
 * Turns off the stack that `stripe` records for each request, to add it to its errors. Here the errors become answers
 * without a stack. With source maps, a stack costs as much CPU as all the rest of a request.
 */
function withoutStack<Result>(start: () => Result): Result {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return start()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** The one table of what an answer without the object proves. */
function sortError(error: unknown): NoAnswer {
  if (!(error instanceof Stripe.errors.StripeError)) throw error
  const failure: unknown = error.detail
  if (failure instanceof TransportFailure) {
    const { reason, status, requestId } = failure
    return { kind: 'unknown', reason, status, replayed: false, requestId }
  }
  const status = error.statusCode ?? null
  const requestId = error.requestId ?? null
  const replayed = error.headers?.['idempotent-replayed'] === 'true'
  const unknown = (reason: UnknownReason): NoAnswer => ({ kind: 'unknown', reason, status, replayed, requestId })
  if (status === null || status < 400) return unknown('unreadable')
  if (status >= 500) return unknown('server-error')
  if (status === 401) return unknown('unauthorized')
  if (status === 403) return unknown('forbidden')
  if (status === 409) return unknown('key-in-use')
  if (status === 429) return unknown('rate-limited')
  if (error.rawType === 'idempotency_error') return unknown('key-reused')
  if (status === 402 && error.rawType === 'card_error') {
    return { kind: 'declined', declineCode: declineCodeOf(error), requestId }
  }
  return {
    kind: 'rejected',
    status,
    errorCode: error.code || error.rawType || 'unknown',
    about: partRefused(error),
    message: error.message.slice(0, longestMessage) || null,
    requestId,
  }
}

/** It is stored and logged. Stripe's messages are one or two sentences. */
const longestMessage = 500

/**
 * Sorts a refusal by its error code and by the parameter that it names. A parameter that the gateway does not know, or
 * misses, is always our mistake.
 *
 * Source: https://docs.stripe.com/error-codes
 */
function partRefused({ code = '', param = '', statusCode }: Stripe.errors.StripeError): RefusedPart {
  if (code === 'parameter_unknown' || code === 'parameter_missing') return 'request'
  if (param === 'payment_method' || param === 'customer' || paymentMethodCodes.has(code)) return 'payment-method'
  const isObjectMissing = statusCode === 404 && code === 'resource_missing'
  return isObjectMissing || stateCodes.has(code) ? 'state' : 'request'
}

/** The card or its customer cannot be charged like this, whatever we send. */
const paymentMethodCodes = new Set([
  'payment_method_currency_mismatch',
  'payment_method_customer_decline',
  'payment_method_invalid_parameter',
  'payment_method_not_available',
  'payment_method_provider_decline',
  'payment_method_restricted',
  'payment_method_unactivated',
  'payment_method_unexpected_state',
  'payment_method_unsupported_type',
])

/** The intent or charge does not allow it: another request, a bank or a person was faster. */
const stateCodes = new Set([
  'balance_insufficient',
  'capture_charge_authorization_expired',
  'charge_already_captured',
  'charge_already_refunded',
  'charge_disputed',
  'charge_expired_for_capture',
  'charge_not_refundable',
  'insufficient_funds',
  'payment_intent_unexpected_state',
  'refund_disputed_payment',
])

const intentStatuses: readonly GatewayIntent['status'][] = [
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
  'processing',
  'requires_capture',
  'succeeded',
  'canceled',
]

/** Null: this is not an intent. `stripe` checks no types at run time, and a proxy can send a 200 of its own. */
export function readIntent(wire: Stripe.PaymentIntent): GatewayIntent | null {
  const status = intentStatuses.find((known) => known === wire.status)
  const hasMetadata = typeof wire.metadata === 'object' && wire.metadata !== null
  if (!isSound(wire, 'payment_intent', [wire.amount, wire.amount_received, wire.created]) || !hasMetadata || !status)
    return null
  return {
    id: wire.id,
    status,
    amountMinor: wire.amount,
    receivedMinor: wire.amount_received,
    currency: wire.currency.toUpperCase(),
    chargeId: holdsMoney(status) ? idOf(wire.latest_charge) : null,
    declineCode: wire.last_payment_error ? declineCodeOf(wire.last_payment_error) : null,
    metadata: wire.metadata,
    createdAt: new Date(wire.created * 1000),
  }
}

const refundStatuses: readonly GatewayRefund['status'][] = [
  'pending',
  'requires_action',
  'succeeded',
  'failed',
  'canceled',
]

export function readRefund(wire: Stripe.Refund): GatewayRefund | null {
  const status = refundStatuses.find((known) => known === wire.status)
  if (!isSound(wire, 'refund', [wire.amount, wire.created]) || !status) return null
  return {
    id: wire.id,
    status,
    amountMinor: wire.amount,
    currency: wire.currency.toUpperCase(),
    intentId: idOf(wire.payment_intent),
    chargeId: idOf(wire.charge),
    failureReason: wire.failure_reason ?? null,
    metadata: wire.metadata ?? {},
    createdAt: new Date(wire.created * 1000),
  }
}

const chargeStatuses: readonly GatewayCharge['status'][] = ['succeeded', 'pending', 'failed']

function readCharge(wire: Stripe.Charge): GatewayCharge | null {
  const status = chargeStatuses.find((known) => known === wire.status)
  const numbers = [wire.amount, wire.amount_captured, wire.amount_refunded, wire.created]
  if (!isSound(wire, 'charge', numbers) || !status) return null
  return {
    id: wire.id,
    status,
    intentId: idOf(wire.payment_intent),
    amountMinor: wire.amount,
    capturedMinor: wire.amount_captured,
    refundedMinor: wire.amount_refunded,
    currency: wire.currency.toUpperCase(),
    metadata: wire.metadata,
    createdAt: new Date(wire.created * 1000),
  }
}

export function readDispute(wire: Stripe.Dispute): GatewayDispute | null {
  const { status, reason, is_charge_refundable: allowsRefunds, evidence_details: details } = wire
  const hasWords = typeof status === 'string' && typeof reason === 'string' && typeof allowsRefunds === 'boolean'
  if (!isSound(wire, 'dispute', [wire.amount, wire.created]) || !hasWords) return null
  const dueBy = details?.due_by ?? 0
  return {
    id: wire.id,
    status,
    reason,
    amountMinor: wire.amount,
    currency: wire.currency.toUpperCase(),
    intentId: idOf(wire.payment_intent),
    allowsRefunds,
    moved: readMovements(wire),
    respondBy: dueBy > 0 ? new Date(dueBy * 1000) : null,
    createdAt: new Date(wire.created * 1000),
  }
}

/**
 * Adds up withdrawals and reinstatements, without fees.
 *
 * An account that settles in another currency shows the movements in that one. Then they prove only that all of the
 * dispute was withdrawn, or all of it reinstated; a part of it stays unknown.
 */
function readMovements({ amount, currency, balance_transactions: movements }: Stripe.Dispute): GatewayDispute['moved'] {
  if (!Array.isArray(movements) || !movements.every(({ amount }) => Number.isSafeInteger(amount))) return null
  const sumOf = (sign: 1 | -1) => movements.reduce((sum, movement) => sum + Math.max(0, sign * movement.amount), 0)
  const [withdrawn, reinstated] = [sumOf(-1), sumOf(1)]
  if (reinstated > withdrawn) return null
  if (movements.every((movement) => movement.currency === currency))
    return { withdrawnMinor: withdrawn, reinstatedMinor: reinstated }
  if (reinstated !== 0 && reinstated !== withdrawn) return null
  return { withdrawnMinor: withdrawn === 0 ? 0 : amount, reinstatedMinor: reinstated === 0 ? 0 : amount }
}

interface WireObject {
  readonly object: string
  readonly id: string
  readonly currency: string
}

function isSound(wire: WireObject, object: string, numbers: readonly number[]): boolean {
  const hasNames = wire.object === object && typeof wire.id === 'string' && typeof wire.currency === 'string'
  return hasNames && numbers.every(Number.isSafeInteger)
}

/** A field that names another object can hold the whole object. */
export function idOf(named: string | { readonly id: string } | null | undefined): string | null {
  return typeof named === 'string' ? named : (named?.id ?? null)
}

/** `latest_charge` may also be a charge that failed. */
function holdsMoney(status: GatewayIntent['status']): boolean {
  return status === 'succeeded' || status === 'requires_capture'
}

/**
 * The decline code, or the error code if Stripe gives none (`expired_card`, `incorrect_cvc`, `processing_error`). An
 * error always has one, because an intent without an error counts as never asked. `authentication_required` stays as
 * it is: its decline code only says that we handle no 3-D Secure.
 */
function declineCodeOf(error: { code?: string; decline_code?: string }): string {
  if (error.code === 'authentication_required') return error.code
  return error.decline_code || error.code || 'card_declined'
}
