import type { Decline, PaymentOutcome } from '@seatbelt/domain'
import type { Attempt } from '../attempt.ts'
import type { GatewayAnswer, GatewayIntent, IntentGateway } from './gateway.ts'
import { type IntentWrite, intentTransitions, missingIntentTransitions } from './intent-transitions.ts'
import {
  type Conclusion,
  type IntentReading,
  type PaymentOfIntent,
  readClaim,
  readIntent,
  readIntentAnswer,
} from './read-intent-answer.ts'
import { type Facts, known, type Protocol, type RequestLogEntry, runProtocol, type Transition } from './run-protocol.ts'

export type { RequestLogEntry } from './run-protocol.ts'

/**
 * Layer 6: the gateway's payment intent is created, stored, confirmed, and cancelled before anything else may be
 * tried. The protocol itself is the table in `intent-transitions.ts`.
 *
 * Guarantees: of one payment's intents only the stored one is ever confirmed, and the gateway lets an intent succeed
 * once, whatever it remembers of keys. Before a payment is called declined, cancelled or voided, the gateway has
 * confirmed that its intent can take no more money. It then refuses the late confirm or capture of a paused owner.
 * Does not guarantee: an answer (without evidence the layer returns `unknown`, and the payment stays open), nor
 * anything about a second payment of the order; layer 5 is for that.
 * Fails with: `unknown` as a value; database errors as they are, after which it sends nothing more.
 * Source: Stripe's documentation, "The Payment Intents API", "Idempotent requests", "Cancel a PaymentIntent", "Place
 * a hold on a payment method".
 */
export type GatewayIntentLayer = (payment: PaymentAttempt) => Promise<Evidence>

/** The requests that carry an idempotency key. */
export type GatewayRequest = 'create' | 'confirm' | 'capture' | 'cancel'

/** One owner's attempt at a step of a payment that the caller has claimed. */
export interface PaymentAttempt extends Attempt, PaymentOfIntent {
  /** The number in the gateway's key of each kind of request. */
  readonly keyNumbers: Readonly<Record<GatewayRequest, number>>
}

/** The writes of an owner between two requests. Each names the attempt's generation; false: another owner took over. */
export interface IntentStore {
  /** Stores the id if none is stored, and records the creation in the history. */
  storeIntent(attempt: PaymentAttempt, gatewayIntentId: string, gatewayRequestId: string | null): Promise<boolean>
  noteDecline(attempt: PaymentAttempt, decline: Decline): Promise<boolean>
  useNextKey(attempt: PaymentAttempt, request: GatewayRequest): Promise<boolean>
}

export type Evidence = Conclusion & {
  /** The intent that the evidence is about. Null: none is stored. */
  readonly intentId: string | null
  readonly requestLog: readonly RequestLogEntry[]
}

/** An outcome that ends a payment. */
export type FinalOutcome = Exclude<PaymentOutcome, { state: 'authorized' }>

/**
 * The most requests that one attempt sends: look, confirm or capture, look (after an answer that proves nothing),
 * cancel, look. The lease must outlast all of them, which the configuration asserts.
 */
export const maxGatewayRequests = 5

export interface GatewayIntentDeps extends Pick<Facts, 'runtime'> {
  readonly gateway: IntentGateway
  readonly store: IntentStore
}

export function createGatewayIntentLayer(deps: GatewayIntentDeps): GatewayIntentLayer {
  return (payment) => lead(intentTransitions, startOf(deps, payment))
}

async function lead(table: readonly Transition[], start: IntentFacts): Promise<Evidence> {
  const { conclusion, facts } = await runProtocol(protocol, table, start)
  return { ...conclusion, intentId: facts.attempt.gatewayIntentId, requestLog: facts.requestLog }
}

/**
 * For an operator who believes that the gateway has no such intent. The layer looks and asks for nothing.
 *
 * If the gateway confirms it (404), no confirm or capture can move money. An intent that has ended counts as it is; any
 * other leaves the payment open. `command` stands in the history.
 */
export function createMissingIntentLayer(deps: GatewayIntentDeps, command: string): GatewayIntentLayer {
  return async (payment) => {
    const seen = await lead(missingIntentTransitions, startOf(deps, payment))
    const line = {
      atMs: deps.runtime.monotonicMs(),
      event: 'operator',
      gatewayRequestId: null,
      detail: command,
      gatewayMessage: null,
    }
    return { ...seen, requestLog: [...seen.requestLog, line] }
  }
}

/**
 * Reads an intent that the gateway showed without being asked. Null: it proves nothing.
 *
 * It can prove that the gateway took the amount or a part of it, or that it can take none any more. Any other state may
 * have passed. Where no intent is stored, the commit that had stored it was lost: an intent with the payment's name,
 * amount and currency is the payment's, because a name has one intent.
 */
export function readFinalEvidence(intent: GatewayIntent, payment: PaymentOfIntent): Conclusion | null {
  const { seen, conclusion } = readIntent(intent, payment)
  return seen === 'succeeded' || seen === 'cancelled' ? conclusion : null
}

interface IntentFacts extends Facts, GatewayIntentDeps {
  readonly attempt: PaymentAttempt
  readonly reading: IntentReading
  readonly earlier: IntentReading
}

function startOf({ gateway, store, runtime }: GatewayIntentDeps, attempt: PaymentAttempt): IntentFacts {
  const reading = readClaim(attempt)
  return { gateway, store, runtime, attempt, reading, earlier: reading, requestLog: [] }
}

const requests: Record<GatewayRequest | 'look', (facts: IntentFacts) => Promise<GatewayAnswer>> = {
  create: ({ gateway, attempt }) => gateway.createIntent(attempt.intentParameters, keyFor('create', attempt)),
  confirm: ({ gateway, attempt }) =>
    gateway.confirmIntent(storedIn(attempt), attempt.intentParameters, keyFor('confirm', attempt)),
  capture: ({ gateway, attempt }) =>
    gateway.captureIntent(storedIn(attempt), keyFor('capture', attempt), accountOf(attempt)),
  cancel: ({ gateway, attempt }) =>
    gateway.cancelIntent(storedIn(attempt), keyFor('cancel', attempt), accountOf(attempt)),
  look: ({ gateway, attempt }) => gateway.retrieveIntent(storedIn(attempt)),
}

function storedIn({ gatewayIntentId }: PaymentAttempt): string {
  return known(gatewayIntentId)
}

function accountOf({ intentParameters }: PaymentAttempt): string {
  return intentParameters.metadata.accountId
}

function keyFor(request: GatewayRequest, { gatewayKey, keyNumbers }: PaymentAttempt): string {
  return `${gatewayKey}:${request}:${keyNumbers[request]}`
}

const writes: Record<IntentWrite, (facts: IntentFacts) => Promise<Partial<IntentFacts> | null>> = {
  'store intent': async ({ store, attempt, reading, requestLog }) => {
    const gatewayIntentId = known(reading.intentId)
    const isStored = await store.storeIntent(attempt, gatewayIntentId, requestLog.at(-1)?.gatewayRequestId ?? null)
    // The creation stands in the history now. The rest of the log is written when the payment is settled.
    return isStored ? { attempt: { ...attempt, gatewayIntentId }, requestLog: [] } : null
  },
  'note decline': (facts) => noteDecline(facts, facts.reading),
  'note earlier decline': (facts) => noteDecline(facts, facts.earlier),
  'next create key': (facts) => useNextKey(facts, 'create'),
  'next confirm key': (facts) => useNextKey(facts, 'confirm'),
  'next capture key': (facts) => useNextKey(facts, 'capture'),
  'next cancel key': (facts) => useNextKey(facts, 'cancel'),
}

async function noteDecline({ store, attempt }: IntentFacts, { decline }: IntentReading) {
  return (await store.noteDecline(attempt, known(decline))) ? { attempt: { ...attempt, notedDecline: decline } } : null
}

async function useNextKey({ store, attempt }: IntentFacts, request: GatewayRequest) {
  return (await store.useNextKey(attempt, request)) ? {} : null
}

const protocol: Protocol<IntentFacts, GatewayAnswer> = {
  requests,
  writes,
  read: (answer, request, { attempt }) => readIntentAnswer(answer, request, attempt),
}
