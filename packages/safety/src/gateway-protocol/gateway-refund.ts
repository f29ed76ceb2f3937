import type { Database } from '@seatbelt/database'
import type { Currency, RefundOutcome } from '@seatbelt/domain'
import type { Claimed, CompareAndSet } from '../compare-and-set.ts'
import type { GatewayRefund, ListAnswer, NoAnswer, RefundAnswer, RefundGateway, RefundParameters } from './gateway.ts'
import type { OwnLease, TrailEntry } from './gateway-intent.ts'
import { describeNoAnswer, isReadable, leaseOver } from './no-answer.ts'

/**
 * Layer 6 for refunds: asked for under one key, and found again by what was written on it.
 *
 * Guarantees: whoever takes a refund over asks for it only after the list of its payment's refunds did not show it. All who
 * ask use one key; the number in it is raised only after the gateway repeated a 5xx for that very key (so that the request
 * under it has ended) and the list then showed that it had no effect. Once the gateway may have forgotten the key, nobody
 * asks any more. `failed` is said of a refund that the gateway shows as failed or cancelled, or that it refused and does not
 * show.
 * Does not guarantee: that a gateway which forgets keys early gives the money back once. A refund has no object that could be
 * cancelled before it is tried, as a payment has: a copy of the request that was stuck on the wire, or in an owner paused
 * after the last look at its lease, is made anew by a gateway that does not know its key any more, and so is one that its
 * list did not show. What is left of the charge bounds it there, and reconciliation finds it. Nor an answer: what cannot be
 * known comes back as `unknown`, and of a payment with more refunds than one page of the list, absence is never known (so that
 * the claim refuses more of them).
 * Fails with: `unknown` as a value; database faults as they are, after which nothing more is sent.
 * Source: Stripe's documentation, "Idempotent requests", "Refund and cancel payments", "The Refund object".
 */
export type GatewayRefundLayer = (refund: ClaimedRefund, lease: OwnLease) => Promise<RefundEvidence>

/** What the layer must know of a refund that the caller has claimed. */
export interface ClaimedRefund extends Claimed {
  /** Is this the owner that claimed it? Nobody can have asked for it before. */
  readonly isFirstOwner: boolean
  /** The same each time: the gateway compares what comes under one key. */
  readonly parameters: RefundParameters
  readonly currency: Currency
  /** Known once the gateway has said that the bank takes its time. */
  readonly gatewayRefundId: string | null
  /** The number in the gateway's key. */
  readonly attempt: number
  /** Is this key in use for so short a time that the gateway still knows it? */
  readonly keyIsRemembered: boolean
}

export type RefundEvidence = {
  /** What was asked and answered, for the payment's history. */
  readonly trail: readonly TrailEntry[]
} & (
  | { readonly kind: 'outcome'; readonly outcome: RefundOutcome }
  /** `readable`: the gateway did answer, so that looking again later may never bring more. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly readable: boolean }
)

/**
 * Most requests that one passage sends: look, ask, ask again under the same key (after a 5xx), look. The lease must outlast
 * all of them; the configuration asserts it.
 */
export const maxRefundRequests = 4

/** For so long a key may be in use. The gateway forgets it after 24 hours; a lease and a clock that is off fit in between. */
export const keyRememberedHours = 23

export interface GatewayRefundDeps {
  readonly gateway: RefundGateway
  readonly database: Database
  readonly compareAndSet: Pick<CompareAndSet, 'raiseRefundAttempt'>
}

export function createGatewayRefundLayer(deps: GatewayRefundDeps): GatewayRefundLayer {
  return async (refund, lease) => {
    const passage = createPassage(deps, refund, lease)
    const begun = await passage.begin()
    const ended = begun.kind === 'absent' ? await passage.pursue() : begun
    return { ...conclude(ended), trail: passage.trail }
  }
}

/**
 * For a person who means that a refund never came to be: it looks and asks for nothing. Absent from the whole list, it is
 * called failed; whatever else it sees counts as it is. To be used only of a refund that nobody has asked for lately, so that
 * no request for it is on its way. `command` stands in the history.
 */
export function createMissingRefundLayer(deps: GatewayRefundDeps, command: string): GatewayRefundLayer {
  return async (refund, lease) => {
    const passage = createPassage(deps, refund, lease)
    const seen = await passage.find()
    const outcome = { state: 'failed', failureCode: 'given-up', gatewayRefundId: null } as const
    const ended: Seen = seen.kind === 'absent' ? { kind: 'known', outcome } : seen
    const line = { atMs: performance.now(), event: 'operator', gatewayRequestId: null, detail: command }
    return { ...conclude(ended), trail: [...passage.trail, line] }
  }
}

/** What is known of the refund at the gateway. */
type Seen =
  | { readonly kind: 'absent' }
  | { readonly kind: 'known'; readonly outcome: RefundOutcome }
  | { readonly kind: 'unknown'; readonly reason: string; readonly readable: boolean }

type Conclusion = RefundEvidence extends infer E ? (E extends unknown ? Omit<E, 'trail'> : never) : never

function conclude(seen: Seen): Conclusion {
  switch (seen.kind) {
    case 'known':
      return { kind: 'outcome', outcome: seen.outcome }
    case 'unknown':
      return seen
    case 'absent':
      throw new Error('a refund that is not there must be asked for, or refused, before its owner leaves it')
    default:
      return seen satisfies never
  }
}

/** One owner's passage through the gateway: the requests in their discipline, and the trail that they leave. */
function createPassage(deps: GatewayRefundDeps, refund: ClaimedRefund, lease: OwnLease) {
  const { gateway, database, compareAndSet } = deps
  const { parameters, gatewayRefundId } = refund
  const trail: TrailEntry[] = []

  function begin(): Promise<Seen> | Seen {
    return refund.isFirstOwner ? { kind: 'absent' } : find()
  }

  function find(): Promise<Seen> {
    return gatewayRefundId === null ? search() : look(gatewayRefundId)
  }

  async function pursue(): Promise<Seen> {
    if (!refund.keyIsRemembered) return forgotten
    const first = await post()
    // A proxy can say 5xx of a request that is still being worked on. Only an answer that is repeated has ended it.
    const answer = isServerError(first) && !first.replayed ? await post() : first
    if (answer.kind === 'refund') return readRefund(answer.refund)
    if (isServerError(answer) && answer.replayed) return afterFailure(answer)
    const code = refusalIn(answer)
    if (code !== null) return afterRefusal(code)
    return unknown(answer)
  }

  /** It may have had its effect before it failed. If not, its key would bring the same failure for a day. */
  async function afterFailure(answer: NoAnswer): Promise<Seen> {
    const seen = await search()
    if (seen.kind !== 'absent') return seen
    await database.statement((tx) => compareAndSet.raiseRefundAttempt(tx, refund, refund.attempt))
    return unknown(answer)
  }

  /** What is refused now may have been done by an earlier request, of which then nothing is left to give back. */
  async function afterRefusal(failureCode: string): Promise<Seen> {
    const seen = await search()
    if (seen.kind !== 'absent') return seen
    return { kind: 'known', outcome: { state: 'failed', failureCode, gatewayRefundId: null } }
  }

  async function search(): Promise<Seen> {
    const answer = await ask('refund-look', () => gateway.listRefundsOf(parameters.intentId))
    if (answer.kind !== 'list') return unknown(answer)
    const ours = answer.items.filter(({ metadata }) => metadata.refundId === refund.id)
    // Were there two, reconciliation would find the other. This one is what became of the money.
    const [foremost] = ours.sort((left, right) => rank[right.status] - rank[left.status])
    if (foremost) return readRefund(foremost)
    return answer.hasMore ? beyondThePage : { kind: 'absent' }
  }

  async function look(id: string): Promise<Seen> {
    const answer = await ask('refund-look', () => gateway.retrieveRefund(id))
    return answer.kind === 'refund' ? readRefund(answer.refund) : unknown(answer)
  }

  function post(): Promise<RefundAnswer> {
    return ask('refund', () => gateway.createRefund(parameters, `${refund.id}:refund:${refund.attempt}`))
  }

  function readRefund(seen: GatewayRefund): Seen {
    return isThisRefund(seen, refund) ? { kind: 'known', outcome: readRefundOutcome(seen) } : notOurs
  }

  /** The lease is looked at just before a request is sent; once it is on the wire, only its own deadline ends it. */
  async function ask<Answer extends RefundAnswer | ListAnswer<GatewayRefund>>(
    event: 'refund' | 'refund-look',
    send: () => Promise<Answer>,
  ): Promise<Answer | NoAnswer> {
    if (!lease.allowsRequest()) return leaseOver
    const answer = await send()
    trail.push({
      atMs: performance.now(),
      event,
      gatewayRequestId: answer.requestId,
      detail: describe(answer, refund.id),
    })
    return answer
  }

  return { trail, begin, find, pursue }
}

/** Is the gateway's refund this one of ours, by what we wrote on it and by all that we know of it? */
export function isThisRefund(seen: GatewayRefund, refund: ClaimedRefund): boolean {
  const { id, currency, gatewayRefundId, parameters } = refund
  return (
    seen.metadata.refundId === id &&
    seen.amountMinor === parameters.amountMinor &&
    seen.currency === currency &&
    seen.intentId === parameters.intentId &&
    (gatewayRefundId === null || seen.id === gatewayRefundId)
  )
}

/** What the gateway's own refund says about ours. What it still works on, or asks the customer about, is pending. */
export function readRefundOutcome(seen: GatewayRefund): RefundOutcome {
  const gatewayRefundId = seen.id
  switch (seen.status) {
    case 'succeeded':
      return { state: 'succeeded', gatewayRefundId }
    case 'pending':
    case 'requires_action':
      return { state: 'pending', gatewayRefundId }
    case 'failed':
    case 'canceled':
      return { state: 'failed', failureCode: seen.failureReason ?? seen.status, gatewayRefundId }
    default:
      return seen.status satisfies never
  }
}

const rank: Readonly<Record<GatewayRefund['status'], number>> = {
  ...{ succeeded: 3, pending: 2, requires_action: 2 },
  ...{ failed: 1, canceled: 1 },
}

const notOurs: Seen = { kind: 'unknown', reason: "the gateway showed a refund that is not this one's", readable: true }
const beyondThePage: Seen = { kind: 'unknown', reason: 'there are more refunds than one page shows', readable: true }
const forgotten: Seen = {
  kind: 'unknown',
  reason: 'it is not there, and the gateway may have forgotten the key that it was asked for with',
  readable: true,
}

type ServerError = Extract<NoAnswer, { kind: 'unknown' }>

function isServerError(answer: RefundAnswer): answer is ServerError {
  return answer.kind === 'unknown' && answer.reason === 'server-error'
}

/** 400 and 402 are about this refund; any other 4xx may be about us, and a refund is not given up for that. */
function refusalIn(answer: NoAnswer): string | null {
  if (answer.kind === 'declined') return answer.declineCode
  return answer.kind === 'rejected' && (answer.status === 400 || answer.status === 402) ? answer.errorCode : null
}

function unknown(answer: NoAnswer): Seen {
  const readable = answer.kind === 'unknown' ? isReadable(answer) : true
  return { kind: 'unknown', reason: describeNoAnswer(answer), readable }
}

function describe(answer: RefundAnswer | ListAnswer<GatewayRefund>, refundId: string): string {
  switch (answer.kind) {
    case 'refund':
      return `${answer.refund.id}: ${answer.refund.status}`
    case 'list': {
      const ours = answer.items.filter(({ metadata }) => metadata.refundId === refundId)
      return ours.map(({ id, status }) => `${id}: ${status}`).join(', ') || 'absent'
    }
    default:
      return describeNoAnswer(answer)
  }
}
