import type { Database, Tx } from '@seatbelt/database'
import type { PaymentOutcome } from '@seatbelt/domain'
import type { Claimed, CompareAndSet, GatewayRequest } from './compare-and-set.ts'
import type { Gateway, GatewayAnswer, GatewayIntent, IntentParameters } from './gateway.ts'

/**
 * Layer 6: the gateway's own intent, created, stored, confirmed, and cancelled before anything else may be tried.
 *
 * Guarantees: of one payment's intent only the stored one is ever confirmed, and the gateway lets an intent succeed once,
 * whatever it remembers of keys; before a payment is called declined or cancelled, the gateway has confirmed that this
 * intent can take no money any more, so that a paused owner's late confirm is refused there.
 * Does not guarantee: an answer (what cannot be known now comes back as `unknown`, and the payment stays processing), nor
 * anything about a second payment of the order; layer 5 is for that.
 * Fails with: `unknown` as a value; database faults as they are, after which nothing more is sent.
 * Source: Stripe's documentation, "The Payment Intents API", "Idempotent requests", "Cancel a PaymentIntent".
 */
export type GatewayIntentLayer = (payment: ClaimedPayment, lease: OwnLease) => Promise<Evidence>

/** What the layer must know of a payment that the caller has claimed. A first generation has never been asked for. */
export interface ClaimedPayment extends Claimed {
  readonly gatewayIntentId: string | null
  readonly intentParameters: IntentParameters
  readonly attempts: Readonly<Record<GatewayRequest, number>>
  /** Noted by an earlier owner, who then did not learn whether the intent was cancelled. */
  readonly declineCode: string | null
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
 * Most requests that one passage sends: look, confirm, look (after an answer that proves nothing), cancel, look.
 * The lease must outlast all of them; the configuration asserts it.
 */
export const maxGatewayRequests = 5

export interface GatewayIntentDeps {
  readonly gateway: Gateway
  readonly database: Database
  readonly compareAndSet: CompareAndSet
  /** Who writes the history: the process's instance name. */
  readonly by: string
}

export function createGatewayIntentLayer(deps: GatewayIntentDeps): GatewayIntentLayer {
  return async (payment, lease) => {
    const passage = createPassage(deps, payment, lease)
    const begun = await passage.begin()
    const asked = begun.kind === 'not-asked' && payment.wanted ? await passage.confirm() : begun
    const ended = needsFence(asked) ? await passage.fence(asked) : asked
    return { ...conclude(ended, payment), trail: passage.trail }
  }
}

/** What is known of the intent at the gateway. */
type Seen =
  /** None is stored, and none is wanted. */
  | { readonly kind: 'never-asked' }
  | { readonly kind: 'not-asked' }
  | { readonly kind: 'succeeded'; readonly gatewayChargeId: string }
  /** The card's bank, or the gateway itself, will not; the intent is still there and could be asked again. */
  | { readonly kind: 'declined'; readonly declineCode: string }
  /** The gateway refused to create an intent at all. */
  | { readonly kind: 'not-created'; readonly declineCode: string }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'unknown'; readonly reason: string; readonly readable: boolean }

type Fenceable = Extract<Seen, { kind: 'not-asked' | 'declined' }>

function needsFence(seen: Seen): seen is Fenceable {
  return seen.kind === 'not-asked' || seen.kind === 'declined'
}

type Conclusion = Evidence extends infer E ? (E extends unknown ? Omit<E, 'trail'> : never) : never

function conclude(seen: Seen, { declineCode }: ClaimedPayment): Conclusion {
  switch (seen.kind) {
    case 'succeeded':
      return { kind: 'outcome', fenced: true, outcome: { state: 'succeeded', gatewayChargeId: seen.gatewayChargeId } }
    case 'declined':
      return { kind: 'outcome', fenced: true, outcome: { state: 'declined', declineCode: seen.declineCode } }
    case 'not-created':
      return { kind: 'outcome', fenced: false, outcome: { state: 'declined', declineCode: seen.declineCode } }
    case 'cancelled':
      return {
        kind: 'outcome',
        fenced: true,
        outcome: declineCode ? { state: 'declined', declineCode } : { state: 'cancelled' },
      }
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

const anotherOwner: Seen = { kind: 'unknown', reason: 'another owner took over', readable: false }

/** One owner's passage through the gateway: the requests in their discipline, and the trail that they leave. */
function createPassage(deps: GatewayIntentDeps, payment: ClaimedPayment, lease: OwnLease) {
  const { gateway, database, compareAndSet, by } = deps
  const trail: TrailEntry[] = []
  let intentId = payment.gatewayIntentId

  function begin(): Promise<Seen> | Seen {
    if (intentId !== null) return payment.generation === 1 ? { kind: 'not-asked' } : look()
    return payment.wanted ? create() : { kind: 'never-asked' }
  }

  async function create(): Promise<Seen> {
    const answer = await ask('create', (key) => gateway.createIntent(payment.intentParameters, key))
    switch (answer.kind) {
      case 'intent':
        return store(answer.intent, answer.requestId)
      // A card error or a refusal of the request: there is no intent, so that no late confirm can move money.
      case 'declined':
        return { kind: 'not-created', declineCode: answer.declineCode }
      case 'rejected':
        return { kind: 'not-created', declineCode: answer.errorCode }
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
    const answer = await ask('confirm', (key) => gateway.confirmIntent(stored(), key))
    if (answer.kind === 'intent') return asked(readIntent(answer.intent))
    if (answer.kind === 'declined') return { kind: 'declined', declineCode: answer.declineCode }
    if (answer.kind === 'unknown' && !mayBeReplayed(answer)) return unknown(answer)
    const seen = await look()
    if (seen.kind !== 'not-asked') return seen
    // The gateway refused this very request and says so again whenever it is asked: that is a decline.
    if (answer.kind === 'rejected') return { kind: 'declined', declineCode: answer.errorCode }
    // It failed without effect and would repeat its failure under the same key for a day.
    await raise('confirm')
    return unknown(answer)
  }

  /** Cancels the intent, so that nobody can confirm it any more, and says what the payment came to. */
  async function fence(seen: Fenceable): Promise<Seen> {
    if (seen.kind === 'declined' && !(await write((tx) => compareAndSet.noteDecline(tx, payment, seen.declineCode))))
      return anotherOwner
    const answer = await ask('cancel', (key) => gateway.cancelIntent(stored(), key))
    if (answer.kind === 'unknown' && !mayBeReplayed(answer)) return unknown(answer)
    const found = answer.kind === 'intent' ? readIntent(answer.intent) : await look()
    if (found.kind === 'cancelled') return seen.kind === 'declined' ? seen : found
    // Refused because it had succeeded, which is evidence; or nothing that can be known now.
    if (!needsFence(found)) return found
    await raise('cancel')
    return { kind: 'unknown', reason: 'the intent could not be cancelled yet', readable: true }
  }

  async function look(): Promise<Seen> {
    const answer = await ask('look', () => gateway.retrieveIntent(stored()))
    if (answer.kind === 'intent') return readIntent(answer.intent)
    if (answer.kind === 'unknown') return unknown(answer)
    return { kind: 'unknown', reason: 'the gateway does not show the stored intent', readable: true }
  }

  function readIntent(intent: GatewayIntent): Seen {
    const { amountMinor, currency, metadata } = payment.intentParameters
    const isOurs =
      intent.amountMinor === amountMinor && intent.currency === currency && intent.metadata.paymentId === payment.id
    if (!isOurs || (intentId !== null && intent.id !== intentId) || metadata.paymentId !== payment.id) return notOurs
    switch (intent.status) {
      case 'succeeded':
        return intent.chargeId === null ? notOurs : { kind: 'succeeded', gatewayChargeId: intent.chargeId }
      case 'requires_confirmation':
        return { kind: 'not-asked' }
      case 'requires_payment_method':
        return { kind: 'declined', declineCode: intent.declineCode ?? 'declined' }
      case 'requires_action':
        return { kind: 'declined', declineCode: 'authentication_required' }
      case 'canceled':
        return { kind: 'cancelled' }
      case 'processing':
      case 'requires_capture':
        return { kind: 'unknown', reason: `the gateway says ${intent.status}`, readable: true }
      default:
        return intent.status satisfies never
    }
  }

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

  return { trail, begin, confirm, fence }
}

const notOurs: Seen = {
  kind: 'unknown',
  reason: "the gateway showed an intent that is not this payment's",
  readable: true,
}

/** Right after a confirm, an intent that still waits for one was not asked by it. */
function asked(seen: Seen): Seen {
  return seen.kind === 'not-asked' ? { kind: 'unknown', reason: 'the confirm had no effect', readable: true } : seen
}

type Unknown = Extract<GatewayAnswer, { kind: 'unknown' }>

const leaseOver: Unknown = { kind: 'unknown', reason: 'lease-over', status: null, requestId: null }

/** The gateway has ended this request and repeats its answer whenever the key comes again: looking tells what it did. */
function mayBeReplayed(answer: GatewayAnswer): boolean {
  return answer.kind === 'unknown' && (answer.reason === 'server-error' || answer.reason === 'key-reused')
}

/** Did the gateway answer at all? What it refuses for ever, as a wrong key of ours, only a person can mend. */
function isReadable(answer: GatewayAnswer): boolean {
  return mayBeReplayed(answer) || (answer.kind === 'unknown' && answer.reason === 'unauthorized')
}

function unknown(answer: GatewayAnswer): Seen {
  return { kind: 'unknown', reason: describe(answer), readable: isReadable(answer) }
}

function describe(answer: GatewayAnswer): string {
  switch (answer.kind) {
    case 'intent':
      return answer.intent.status
    case 'declined':
      return `declined: ${answer.declineCode}`
    case 'rejected':
      return `rejected: ${answer.errorCode}`
    case 'unknown':
      return answer.status === null ? answer.reason : `${answer.reason} (${answer.status})`
    default:
      return answer satisfies never
  }
}
