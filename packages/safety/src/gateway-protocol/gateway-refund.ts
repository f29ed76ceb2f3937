import type { Currency, RefundOutcome, Runtime } from '@seatbelt/domain'
import type { Attempt } from '../attempt.ts'
import { ourIdIn } from '../gateway-reference.ts'
import type { GatewayRefund, ListAnswer, RefundAnswer, RefundGateway, RefundParameters } from './gateway.ts'
import { readNoAnswer } from './no-answer.ts'
import { missingRefundTransitions, type RefundSeen, refundTransitions } from './refund-transitions.ts'
import {
  type Facts,
  type Protocol,
  type Reading,
  type RequestLogEntry,
  runProtocol,
  type Transition,
  type UnknownConclusion,
} from './run-protocol.ts'

/**
 * Layer 6 for refunds: a refund is requested under one key, and found again by the metadata that we wrote on it. The
 * protocol itself is the table in `refund-transitions.ts`. A list also shows refunds that others made; the evidence
 * carries them, because each of them takes from the same charge.
 *
 * Guarantees: after a takeover, the owner requests the refund only if the list of its payment's refunds does not show
 * it. All owners use one key. The number in the key is raised only after the gateway repeated a 5xx for that key (so
 * that the request under it has ended) and the list then showed that it had no effect. Once the gateway may have
 * forgotten the key, no owner requests the refund any more. A refund is called `failed` only if the gateway shows it
 * as failed or cancelled, or refused it and then does not show it in two lists.
 * Does not guarantee: that a gateway which forgets keys early refunds once. Unlike a payment, a refund has no object
 * that could be cancelled before it is tried. Such a gateway executes a delayed copy of the request again, and also
 * repeats a refund that its list did not show. The rest of the charge limits the damage, and reconciliation finds it.
 * Nor does the layer guarantee an answer: without evidence it returns `unknown`. It can never prove absence for a
 * payment that has more refunds than one page of the list, so the claim refuses to open more of them.
 * Fails with: `unknown` as a value; database errors as they are, after which it sends nothing more.
 * Source: Stripe's documentation, "Idempotent requests", "Refund and cancel payments", "The Refund object".
 */
export type GatewayRefundLayer = (refund: RefundAttempt) => Promise<RefundEvidence>

/** One owner's attempt at a refund that the caller has claimed. */
export interface RefundAttempt extends Attempt {
  /** This owner claimed the refund, so that no request for it can have been sent before. */
  readonly isFirstOwner: boolean
  /** The same in each request: the gateway compares the parameters of requests with one key. */
  readonly parameters: RefundParameters
  readonly currency: Currency
  /** Known once the gateway has answered that the refund is pending. */
  readonly gatewayRefundId: string | null
  /** The refund's name in its metadata, and the first part of its key: `${gatewayKey}:refund:1`. */
  readonly gatewayKey: string
  /** The number in the gateway's key. */
  readonly keyNumber: number
  /** The key has been in use for so short a time that the gateway still remembers it. */
  readonly keyIsRemembered: boolean
  /** Made at the gateway without us. It is known by its id alone, and is never requested. */
  readonly isMadeElsewhere: boolean
}

/** The write of an owner between two requests. It names the attempt's generation; false: another owner took over. */
export interface RefundStore {
  useNextKey(attempt: RefundAttempt): Promise<boolean>
}

export type RefundEvidence = RefundConclusion & {
  readonly requestLog: readonly RequestLogEntry[]
  /** The refunds of the same payment that lists showed and that were made without us. */
  readonly elsewhere: readonly GatewayRefund[]
}

type RefundConclusion = { readonly kind: 'outcome'; readonly outcome: RefundOutcome } | UnknownConclusion

/** An outcome that ends a refund. */
export type FinalRefundOutcome = Exclude<RefundOutcome, { state: 'pending' }>

/**
 * The most requests that one attempt sends: look, refund, refund again under the same key (after a 5xx), look twice.
 * The lease must outlast all of them, which the configuration asserts.
 */
export const maxRefundRequests = 5

/**
 * Between the two looks after a refusal: longer than a request that a proxy forwarded needs to have its effect, and
 * than a list usually lags. It delays only the answer that a refund failed.
 */
const pauseBetweenLooksMs = 1_000

/**
 * How long a key may be in use. The gateway forgets it after 24 hours; the rest covers a lease and a clock that is
 * off.
 */
export const keyRememberedHours = 23

export interface GatewayRefundDeps {
  readonly runtime: Pick<Runtime, 'monotonicMs' | 'pause'>
  readonly gateway: RefundGateway
  readonly store: RefundStore
}

export function createGatewayRefundLayer(deps: GatewayRefundDeps): GatewayRefundLayer {
  return (refund) => lead(refundTransitions, startOf(deps, refund))
}

async function lead(table: readonly Transition[], start: RefundFacts): Promise<RefundEvidence> {
  const { conclusion, facts } = await runProtocol(protocol, table, start)
  return { ...conclusion, requestLog: facts.requestLog, elsewhere: facts.reading.elsewhere }
}

/**
 * For an operator who believes that a refund was never made. The layer looks and asks for nothing.
 *
 * A refund that is absent from the whole list is called failed, and so is one whose id the gateway does not know (404),
 * or whose name another refund has that our books lost.
 * One that is there counts as it is. The key must see the intent. Use it only for a refund that no owner has requested
 * lately, so that no request for it is on its way. `command` stands in the history.
 */
export function createMissingRefundLayer(deps: GatewayRefundDeps, command: string): GatewayRefundLayer {
  return async (refund) => {
    const seen = await lead(missingRefundTransitions, startOf(deps, refund))
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

interface RefundReading extends Reading<RefundConclusion> {
  readonly seen: RefundSeen
  /** Of the latest list. */
  readonly elsewhere: readonly GatewayRefund[]
}

interface RefundFacts extends Omit<Facts, 'runtime'>, GatewayRefundDeps {
  readonly attempt: RefundAttempt
  readonly reading: RefundReading
  readonly earlier: RefundReading
}

type AnyRefundAnswer = RefundAnswer | ListAnswer<GatewayRefund>
type RefundList = Extract<AnyRefundAnswer, { kind: 'list' }>

const protocol: Protocol<RefundFacts, AnyRefundAnswer> = {
  requests: {
    refund: ({ gateway, attempt: { parameters, gatewayKey, keyNumber } }): Promise<AnyRefundAnswer> =>
      gateway.createRefund(parameters, `${gatewayKey}:refund:${keyNumber}`),
    'refund-look': ({ gateway, attempt: { parameters, gatewayRefundId } }) =>
      gatewayRefundId === null ? gateway.listRefundsOf(parameters.intentId) : gateway.retrieveRefund(gatewayRefundId),
  },
  writes: {
    'next key': async ({ store, attempt }) => ((await store.useNextKey(attempt)) ? {} : null),
    // The refusal is what the next look confirms or refutes, as if there had been no look before it.
    pause: async ({ runtime, reading, earlier }) => {
      await runtime.pause(pauseBetweenLooksMs)
      return { reading: { ...earlier, elsewhere: reading.elsewhere } }
    },
  },
  read: (answer, request, { attempt, reading }) => {
    const elsewhere = answer.kind === 'list' ? madeElsewhere(answer, attempt) : reading.elsewhere
    return { ...readRefundAnswer(answer, request, attempt), elsewhere }
  },
}

const nothing = { message: null, conclusion: null, reason: null, readable: true, elsewhere: [] }

function startOf({ gateway, store, runtime }: GatewayRefundDeps, attempt: RefundAttempt): RefundFacts {
  const takenOver: RefundReading = { ...nothing, seen: 'taken over', detail: '' }
  const reading = attempt.isFirstOwner ? readAbsence(attempt) : takenOver
  return { gateway, store, runtime, attempt, reading, earlier: reading, requestLog: [] }
}

function readRefundAnswer(answer: AnyRefundAnswer, request: string, refund: RefundAttempt): RefundReading {
  if (answer.kind === 'refund') return readRefund(answer.refund, refund)
  if (answer.kind === 'list') return readList(answer, refund)
  const reading = { ...nothing, ...readNoAnswer(answer) }
  if (answer.kind === 'declined') return { ...reading, seen: 'refused', conclusion: failedAs(answer.declineCode) }
  if (
    answer.kind === 'rejected' &&
    answer.status === 404 &&
    request === 'refund-look' &&
    refund.gatewayRefundId !== null
  )
    return { ...reading, seen: 'missing', conclusion: failedAs('given-up') }
  if (answer.kind === 'rejected') {
    // Any other status may be about us, and is no reason to give up the refund.
    const isAboutRefund = answer.status === 400 || answer.status === 402
    return { ...reading, seen: isAboutRefund ? 'refused' : 'unclear', conclusion: failedAs(answer.errorCode) }
  }
  if (answer.reason === 'key-reused') return { ...reading, seen: 'reused' }
  if (answer.reason !== 'server-error') return { ...reading, seen: 'unclear' }
  return { ...reading, seen: answer.replayed ? 'repeated' : 'failed' }
}

function readList({ items, hasMore }: RefundList, refund: RefundAttempt): RefundReading {
  const ours = items.filter(({ metadata }) => metadata.refundId === refund.gatewayKey)
  const detail = ours.map(({ id, status }) => `${id}: ${status}`).join(', ') || 'absent'
  // If there were two, reconciliation would find the other. The foremost shows where the money is.
  const rankOf = (shown: GatewayRefund) => foremostFirst.indexOf(readRefundOutcome(shown).state)
  const foremost = ours.toSorted((left, right) => rankOf(left) - rankOf(right))
  const shown = foremost.find((one) => isThisRefund(one, refund)) ?? foremost[0]
  const reading = shown && { ...readRefund(shown, refund), detail }
  if (reading?.seen === 'shown' || (reading && hasMore)) return reading
  if (reading) return { ...reading, seen: 'taken', conclusion: failedAs('key-reused') }
  if (!hasMore) return readAbsence(refund)
  return { ...nothing, seen: 'unclear', detail, reason: 'there are more refunds than one page shows' }
}

const foremostFirst: readonly RefundOutcome['state'][] = ['succeeded', 'pending', 'failed']

function readAbsence({ keyIsRemembered }: RefundAttempt): RefundReading {
  const seen = keyIsRemembered ? 'absent' : 'forgotten'
  return { ...nothing, seen, detail: 'absent', conclusion: failedAs('given-up') }
}

function readRefund(shown: GatewayRefund, refund: RefundAttempt): RefundReading {
  const reading = { ...nothing, detail: `${shown.id}: ${shown.status}` }
  if (!isThisRefund(shown, refund))
    return { ...reading, seen: 'unclear', reason: "the gateway showed a refund that is not this one's" }
  return { ...reading, seen: 'shown', conclusion: { kind: 'outcome', outcome: readRefundOutcome(shown) } }
}

function failedAs(failureCode: string): RefundConclusion {
  return { kind: 'outcome', outcome: { state: 'failed', failureCode, gatewayRefundId: null } }
}

function madeElsewhere({ items }: RefundList, { parameters }: RefundAttempt): readonly GatewayRefund[] {
  return items.filter((shown) => isMadeElsewhere(shown) && shown.intentId === parameters.intentId)
}

/**
 * Whether a refund was made at the gateway without us: at its own console, or by another program. A refund that we
 * request names our refund in its metadata.
 */
export function isMadeElsewhere({ metadata }: Pick<GatewayRefund, 'metadata'>): boolean {
  return ourIdIn(metadata, 'refundId') === null
}

type ExpectedRefund = Pick<
  RefundAttempt,
  'gatewayKey' | 'currency' | 'gatewayRefundId' | 'parameters' | 'isMadeElsewhere'
>

/**
 * Whether the gateway's refund is this one, by the metadata that we wrote on it and by all that we know of it. One that
 * was made elsewhere is recognized by its id.
 */
export function isThisRefund(shown: GatewayRefund, expected: ExpectedRefund): boolean {
  const { gatewayKey, currency, gatewayRefundId, parameters } = expected
  const isNamed = expected.isMadeElsewhere ? shown.id === gatewayRefundId : shown.metadata.refundId === gatewayKey
  return (
    isNamed &&
    shown.amountMinor === parameters.amountMinor &&
    shown.currency === currency &&
    shown.intentId === parameters.intentId &&
    (gatewayRefundId === null || shown.id === gatewayRefundId)
  )
}

/** A refund is pending while the gateway works on it or waits for the customer. */
export function readRefundOutcome(shown: GatewayRefund): RefundOutcome {
  const gatewayRefundId = shown.id
  switch (shown.status) {
    case 'succeeded':
      return { state: 'succeeded', gatewayRefundId }
    case 'pending':
    case 'requires_action':
      return { state: 'pending', gatewayRefundId }
    case 'failed':
    case 'canceled':
      return { state: 'failed', failureCode: shown.failureReason ?? shown.status, gatewayRefundId }
    default:
      return shown.status satisfies never
  }
}
