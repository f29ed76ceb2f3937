import type { Database, Tx } from '@seatbelt/database'
import type { Decline, PaymentGoal, PaymentOutcome } from '@seatbelt/domain'
import type { Claimed, CompareAndSet, GatewayRequest } from '../compare-and-set.ts'
import type { GatewayAnswer, GatewayIntent, IntentGateway, IntentParameters } from './gateway.ts'
import { describeNoAnswer, isReadable, leaseOver } from './no-answer.ts'

/**
 * Layer 6: the gateway's own intent, created, stored, confirmed, and cancelled before anything else may be tried.
 *
 * Guarantees: of one payment's intent only the stored one is ever confirmed, and the gateway lets an intent succeed once,
 * whatever it remembers of keys; before a payment is called declined, cancelled or voided, the gateway has confirmed that
 * this intent can take no money any more, so that a paused owner's late confirm or capture is refused there.
 * Does not guarantee: an answer (what cannot be known now comes back as `unknown`, and the payment stays processing), nor
 * anything about a second payment of the order; layer 5 is for that.
 * Fails with: `unknown` as a value; database faults as they are, after which nothing more is sent.
 * Source: Stripe's documentation, "The Payment Intents API", "Idempotent requests", "Cancel a PaymentIntent",
 * "Place a hold on a payment method".
 */
export type GatewayIntentLayer = (payment: ClaimedPayment, lease: OwnLease) => Promise<Evidence>

/** What the layer must know of a payment that the caller has claimed. */
export interface ClaimedPayment extends Claimed {
  readonly goal: PaymentGoal
  /** Is this the owner that claimed the step? Nobody can have asked for it before. */
  readonly isFirstOwner: boolean
  readonly gatewayIntentId: string | null
  readonly intentParameters: IntentParameters
  readonly attempts: Readonly<Record<GatewayRequest, number>>
  /** Noted by an earlier owner, who then did not learn whether the intent was cancelled. */
  readonly notedDecline: Decline | null
  /** Is the money still wanted? Otherwise the intent is cancelled. */
  readonly wanted: boolean
}

/**
 * The owner's own view of its lease, by a monotonic clock started before the claim: over before the database's is, unless
 * that clock stood still (a suspended machine). Then the generation and the intent hold, as after any pause.
 */
export interface OwnLease {
  /** Is there time for one more whole request, and for settling after it? */
  readonly allowsRequest: () => boolean
}

export type Evidence = {
  /** What was asked and answered, for the payment's history. */
  readonly trail: readonly TrailEntry[]
} & (
  | { readonly kind: 'outcome'; readonly outcome: PaymentOutcome; readonly fenced: boolean }
  /** `readable`: the gateway did answer, so that looking again later may never bring more. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly readable: boolean }
)

export interface TrailEntry {
  /** Monotonic, of `performance.now()`. */
  readonly atMs: number
  readonly event: string
  readonly gatewayRequestId: string | null
  readonly detail: string | null
}

/**
 * Most requests that one passage sends: look, confirm or capture, look (after an answer that proves nothing), cancel, look.
 * The lease must outlast all of them; the configuration asserts it.
 */
export const maxGatewayRequests = 5

export interface GatewayIntentDeps {
  readonly gateway: IntentGateway
  readonly database: Database
  readonly compareAndSet: CompareAndSet
  /** Who writes the history: the process's instance name. */
  readonly by: string
}

export function createGatewayIntentLayer(deps: GatewayIntentDeps): GatewayIntentLayer {
  return async (payment, lease) => {
    const passage = createPassage(deps, payment, lease)
    const begun = await passage.begin()
    const asked = await passage.pursue(begun)
    const ended = needsFence(asked, payment) ? await passage.fence(asked) : asked
    return { ...conclude(ended, payment), trail: passage.trail }
  }
}

/**
 * For a person who means that the gateway has no such intent: it looks and asks for nothing. Where the gateway says so (404), no
 * confirm or capture of anybody can move money; an intent that is there and at its end counts as it is, and any other stays.
 * `command` stands in the history.
 */
export function createMissingIntentLayer(deps: GatewayIntentDeps, command: string): GatewayIntentLayer {
  return async (payment, lease) => {
    const passage = createPassage(deps, payment, lease)
    const seen = payment.gatewayIntentId === null ? noneStored : await passage.look()
    const line = { atMs: performance.now(), event: 'operator', gatewayRequestId: null, detail: command }
    const trail = [...passage.trail, line]
    if (seen === missing) return { ...conclude({ kind: 'cancelled', declineCode: null }, payment), trail }
    const isClear = seen.kind === 'succeeded' || seen.kind === 'cancelled' || seen.kind === 'unknown'
    return { ...conclude(isClear ? seen : stillThere, payment), trail }
  }
}

/** What is known of the intent at the gateway. */
type Seen =
  /** None is stored, and none is wanted. */
  | { readonly kind: 'never-asked' }
  | { readonly kind: 'not-asked' }
  /** The amount is reserved on the card, and not taken. */
  | { readonly kind: 'on-hold' }
  | { readonly kind: 'succeeded'; readonly gatewayChargeId: string }
  /** The card's bank, or the gateway itself, will not; the intent is still there and could be asked again. */
  | ({ readonly kind: 'declined' } & Decline)
  /** The gateway refused to create an intent at all. */
  | ({ readonly kind: 'not-created' } & Decline)
  /** With a code: the gateway itself has let go what was on hold, and said why. */
  | { readonly kind: 'cancelled'; readonly declineCode: string | null }
  | { readonly kind: 'unknown'; readonly reason: string; readonly readable: boolean }

type Fenceable = Extract<Seen, { kind: 'not-asked' | 'declined' | 'on-hold' }>

/** May the intent still come to take money, though the payment is to end without? What is asked for comes before this. */
function needsFence(seen: Seen, { goal, wanted }: Pick<ClaimedPayment, 'goal' | 'wanted'>): seen is Fenceable {
  switch (seen.kind) {
    case 'not-asked':
    case 'declined':
      return true
    case 'on-hold':
      return !(goal === 'authorize' && wanted)
    case 'never-asked':
    case 'not-created':
    case 'succeeded':
    case 'cancelled':
    case 'unknown':
      return false
    default:
      return seen satisfies never
  }
}

type Conclusion = Evidence extends infer E ? (E extends unknown ? Omit<E, 'trail'> : never) : never

function conclude(seen: Seen, { goal, notedDecline }: ClaimedPayment): Conclusion {
  const hadHold = goal === 'capture' || goal === 'void'
  switch (seen.kind) {
    case 'succeeded':
      return { kind: 'outcome', fenced: true, outcome: { state: 'succeeded', gatewayChargeId: seen.gatewayChargeId } }
    case 'on-hold':
      return { kind: 'outcome', fenced: true, outcome: { state: 'authorized' } }
    case 'declined':
      return { kind: 'outcome', fenced: true, outcome: refused(hadHold, seen) }
    case 'not-created':
      return { kind: 'outcome', fenced: false, outcome: refused(false, seen) }
    case 'cancelled':
      return { kind: 'outcome', fenced: true, outcome: endedWithoutMoney(hadHold, seen.declineCode, notedDecline) }
    case 'never-asked':
      // Whoever created an intent and did not store it cannot confirm it any more: its compare-and-set fails.
      return { kind: 'outcome', fenced: false, outcome: { state: 'cancelled' } }
    case 'unknown':
      return seen
    case 'not-asked':
      throw new Error('an intent that was not asked must be fenced before its payment ends')
    default:
      return seen satisfies never
  }
}

/**
 * What an intent proves that the gateway showed without being asked, or null: only that it took the whole amount, or can
 * take none any more. Whatever else it shows may be over by now.
 */
export function readFinalEvidence(intent: GatewayIntent, payment: ClaimedPayment): Conclusion | null {
  if (payment.gatewayIntentId === null) return null
  const seen = readShown(intent, payment, payment.gatewayIntentId)
  return seen.kind === 'succeeded' || seen.kind === 'cancelled' ? conclude(seen, payment) : null
}

function refused(hadHold: boolean, { declineCode, declinedBy }: Decline): PaymentOutcome {
  return hadHold ? { state: 'voided', declineCode } : { state: 'declined', declineCode, declinedBy }
}

function endedWithoutMoney(hadHold: boolean, letGoFor: string | null, noted: Decline | null): PaymentOutcome {
  if (hadHold) return { state: 'voided', declineCode: letGoFor ?? noted?.declineCode ?? null }
  return noted ? refused(false, noted) : { state: 'cancelled' }
}

const anotherOwner: Seen = { kind: 'unknown', reason: 'another owner took over', readable: false }

/** One owner's passage through the gateway: the requests in their discipline, and the trail that they leave. */
function createPassage(deps: GatewayIntentDeps, payment: ClaimedPayment, lease: OwnLease) {
  const { gateway, database, compareAndSet, by } = deps
  const trail: TrailEntry[] = []
  let intentId = payment.gatewayIntentId

  function begin(): Promise<Seen> | Seen {
    if (intentId === null) return payment.wanted ? create() : { kind: 'never-asked' }
    // Only what is on hold has steps that begin with a stored intent.
    return payment.isFirstOwner ? { kind: 'on-hold' } : look()
  }

  /** Asks for what the payment is about, where it has not happened yet and is still wanted. */
  function pursue(seen: Seen): Promise<Seen> | Seen {
    const { goal, wanted } = payment
    if (seen.kind === 'not-asked' && wanted && (goal === 'charge' || goal === 'authorize')) return confirm()
    if (seen.kind === 'on-hold' && goal === 'capture') return capture()
    return seen
  }

  async function create(): Promise<Seen> {
    const answer = await ask('create', (key) => gateway.createIntent(payment.intentParameters, key))
    switch (answer.kind) {
      case 'intent':
        return store(answer.intent, answer.requestId)
      // A card error or a refusal of the request: there is no intent, so that no late confirm can move money.
      case 'declined':
      case 'rejected':
        return { kind: 'not-created', ...readRefusal(answer) }
      case 'unknown':
        // An intent that is not stored is never confirmed: that one may exist under the old key does no harm.
        if (mayBeReplayed(answer)) await raise('create')
        return unknown(answer)
      default:
        return answer satisfies never
    }
  }

  async function store(intent: GatewayIntent, gatewayRequestId: string | null): Promise<Seen> {
    const seen = readIntent(intent)
    if (seen.kind !== 'not-asked') return seen.kind === 'unknown' ? seen : notOurs
    const line = { event: 'intent-created', by, gatewayRequestId }
    if (!(await write((tx) => compareAndSet.storeIntent(tx, payment, intent.id, line)))) return anotherOwner
    // It stands in the history now; the rest of the trail is written when the payment is settled.
    trail.pop()
    intentId = intent.id
    return seen
  }

  async function confirm(): Promise<Seen> {
    const answer = await ask('confirm', (key) => gateway.confirmIntent(stored(), payment.intentParameters, key))
    if (answer.kind === 'intent') return asked(readIntent(answer.intent))
    if (answer.kind === 'declined') return { kind: 'declined', ...readRefusal(answer) }
    if (answer.kind === 'unknown' && !mayBeReplayed(answer)) return unknown(answer)
    const seen = await look()
    if (seen.kind !== 'not-asked') return seen
    // The gateway refused this very request and says so again whenever it is asked: that is a decline.
    if (answer.kind === 'rejected') return { kind: 'declined', ...readRefusal(answer) }
    // It failed without effect and would repeat its failure under the same key for a day.
    await raise('confirm')
    return unknown(answer)
  }

  async function capture(): Promise<Seen> {
    const answer = await ask('capture', (key) => gateway.captureIntent(stored(), key))
    if (answer.kind === 'intent') return captured(readIntent(answer.intent))
    if (answer.kind === 'unknown' && !mayBeReplayed(answer)) return unknown(answer)
    const seen = await look()
    const refusal = refusalOfCapture(answer)
    // What the gateway will never capture is given back, unless it has let go of it by itself.
    if (refusal && needsFence(seen, payment)) return { kind: 'declined', ...refusal }
    if (refusal && seen.kind === 'cancelled') return { ...seen, declineCode: refusal.declineCode }
    if (seen.kind !== 'on-hold') return seen
    // Any other refusal may be about us: a hold is not given up for it. The gateway would repeat it under the same key for a
    // day; under the next one nothing can happen twice, as an intent is captured once.
    await raise('capture')
    return { ...unknown(answer), readable: true }
  }

  /** Cancels the intent, so that nobody can confirm it any more, and says what the payment came to. */
  async function fence(seen: Fenceable): Promise<Seen> {
    if (seen.kind === 'declined' && !(await write((tx) => compareAndSet.noteDecline(tx, payment, seen))))
      return anotherOwner
    const answer = await ask('cancel', (key) => gateway.cancelIntent(stored(), key))
    if (answer.kind === 'unknown' && !mayBeReplayed(answer)) return unknown(answer)
    const found = answer.kind === 'intent' ? readIntent(answer.intent) : await look()
    if (found.kind === 'cancelled') return seen.kind === 'declined' ? seen : found
    // Refused because it had succeeded, which is evidence; or nothing that can be known now.
    if (!needsFence(found, { goal: payment.goal, wanted: false })) return found
    await raise('cancel')
    return { kind: 'unknown', reason: 'the intent could not be cancelled yet', readable: true }
  }

  async function look(): Promise<Seen> {
    const answer = await ask('look', () => gateway.retrieveIntent(stored()))
    if (answer.kind === 'intent') return readIntent(answer.intent)
    if (answer.kind === 'rejected' && answer.status === 404) return missing
    return { ...unknown(answer), readable: answer.kind !== 'unknown' || isReadable(answer) }
  }

  const readIntent = (intent: GatewayIntent): Seen => readShown(intent, payment, intentId)

  /** The lease is looked at just before a request is sent; once it is on the wire, only its own deadline ends it. */
  async function ask(
    request: GatewayRequest | 'look',
    send: (key: string) => Promise<GatewayAnswer>,
  ): Promise<GatewayAnswer> {
    if (!lease.allowsRequest()) return leaseOver
    const answer = await send(request === 'look' ? '' : `${payment.id}:${request}:${payment.attempts[request]}`)
    trail.push({
      atMs: performance.now(),
      event: request,
      gatewayRequestId: answer.requestId,
      detail: describe(answer),
    })
    return answer
  }

  const stored = (): string => {
    if (intentId === null) throw new Error('no intent is stored')
    return intentId
  }
  const write = (work: (tx: Tx) => Promise<boolean>) => database.statement(work)
  const raise = (request: GatewayRequest) =>
    write((tx) => compareAndSet.raiseAttempt(tx, payment, request, payment.attempts[request]))

  return { trail, begin, pursue, fence, look }
}

/** What an intent that the gateway showed says about the payment whose stored intent has this id, if one is stored. */
function readShown(
  intent: GatewayIntent,
  payment: Pick<ClaimedPayment, 'id' | 'goal' | 'intentParameters'>,
  intentId: string | null,
): Seen {
  const { amountMinor, currency, metadata } = payment.intentParameters
  const isOurs =
    intent.amountMinor === amountMinor && intent.currency === currency && intent.metadata.paymentId === payment.id
  if (!isOurs || (intentId !== null && intent.id !== intentId) || metadata.paymentId !== payment.id) return notOurs
  switch (intent.status) {
    case 'succeeded':
      if (intent.receivedMinor !== amountMinor) return otherAmount
      return intent.chargeId === null ? notOurs : { kind: 'succeeded', gatewayChargeId: intent.chargeId }
    case 'requires_confirmation':
      return { kind: 'not-asked' }
    case 'requires_payment_method':
      // Without a reason nobody's bank has said anything.
      if (intent.declineCode === null) return { kind: 'declined', declineCode: 'declined', declinedBy: 'gateway' }
      return { kind: 'declined', declineCode: intent.declineCode, declinedBy: 'bank' }
    case 'requires_action':
      return { kind: 'declined', declineCode: 'authentication_required', declinedBy: 'bank' }
    case 'canceled':
      return { kind: 'cancelled', declineCode: null }
    case 'requires_capture':
      if (payment.goal !== 'charge') return { kind: 'on-hold' }
      return { kind: 'unknown', reason: 'the gateway holds what it was asked to take', readable: true }
    case 'processing':
      return { kind: 'unknown', reason: `the gateway says ${intent.status}`, readable: true }
    default:
      return intent.status satisfies never
  }
}

/** Only a person can tell whether it was deleted, or is another account's because our key is wrong. */
const missing: Seen = { kind: 'unknown', reason: 'the gateway does not show the stored intent', readable: true }
const noneStored: Seen = { kind: 'unknown', reason: 'no intent is stored that could be missing', readable: true }
const stillThere: Seen = {
  kind: 'unknown',
  reason: 'the gateway has its intent, which is not at an end',
  readable: true,
}

const notOurs: Seen = {
  kind: 'unknown',
  reason: "the gateway showed an intent that is not this payment's",
  readable: true,
}

/** Captured by hand, in part: nobody here may decide what that means for the order. */
const otherAmount: Seen = { kind: 'unknown', reason: 'the gateway took another amount', readable: true }

/** With these the gateway says that a hold is over for good. Stripe: "Error codes". */
const captureRefusals = new Set(['charge_expired_for_capture', 'capture_charge_authorization_expired'])

/**
 * Why what is on hold is given back, or null. Any card error (402) is a reason, whatever its code: it is the bank's word on
 * this capture, which another try would only repeat, and the merchant hears of it while the goods can still be kept.
 * Nothing rests on its being the last word: the payment ends only when the gateway has cancelled the intent, and a cancel that
 * is refused because the capture succeeded after all is evidence of that.
 */
function refusalOfCapture(answer: GatewayAnswer): Decline | null {
  if (answer.kind === 'declined') return readRefusal(answer)
  return answer.kind === 'rejected' && captureRefusals.has(answer.errorCode) ? readRefusal(answer) : null
}

/** A card error is the bank's word. Any other refusal is about our request, and says nothing of the card. */
function readRefusal(answer: Extract<GatewayAnswer, { kind: 'declined' | 'rejected' }>): Decline {
  return answer.kind === 'declined'
    ? { declineCode: answer.declineCode, declinedBy: 'bank' }
    : { declineCode: answer.errorCode, declinedBy: 'gateway' }
}

/** Right after a capture, an intent that is still on hold was not captured by it. */
function captured(seen: Seen): Seen {
  return seen.kind === 'on-hold' ? { kind: 'unknown', reason: 'the capture had no effect', readable: true } : seen
}

/** Right after a confirm, an intent that still waits for one was not asked by it. */
function asked(seen: Seen): Seen {
  return seen.kind === 'not-asked' ? { kind: 'unknown', reason: 'the confirm had no effect', readable: true } : seen
}

/** The gateway has ended this request and repeats its answer whenever the key comes again: looking tells what it did. */
function mayBeReplayed(answer: GatewayAnswer): boolean {
  return answer.kind === 'unknown' && (answer.reason === 'server-error' || answer.reason === 'key-reused')
}

function unknown(answer: GatewayAnswer): Extract<Seen, { kind: 'unknown' }> {
  return { kind: 'unknown', reason: describe(answer), readable: answer.kind === 'unknown' && isReadable(answer) }
}

function describe(answer: GatewayAnswer): string {
  return answer.kind === 'intent' ? answer.intent.status : describeNoAnswer(answer)
}
