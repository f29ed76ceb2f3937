import type { Database, Tx } from '@seatbelt/database'
import type {
  DeclineLimits,
  DisputeState,
  OrderPurpose,
  OrderState,
  Payment,
  RecordedAnswer,
  Refund,
  RefundOutcome,
  Runtime,
} from '@seatbelt/domain'
import {
  type CustomerGateway,
  type FinalOutcome,
  type GatewayIntentLayer,
  type GatewayReferenceLayer,
  type GatewayRefundLayer,
  type Layers,
  maxGatewayRequests,
  maxRefundRequests,
} from '@seatbelt/safety'
import type { GatewayAccount } from './gateway-account.ts'
import type { PaymentStep, Renderings } from './operations.ts'

/** The parts of the operations. */
export interface PaymentDeps {
  readonly database: Database
  readonly layers: PaymentLayers
  readonly renderings: Renderings
  readonly purposes: Purposes
  readonly policy: PaymentPolicy
  /** Stored with each claim: a 404 is believed only from a key of the same account. */
  readonly gatewayAccount: GatewayAccount
  /** Time, timers, ids and randomness. */
  readonly runtime: Runtime
  /** The instance name that this process writes into histories. */
  readonly by: string
}

/** The part that a plain read needs. */
export type Queryable = Pick<PaymentDeps, 'database'>

export interface PaymentLayers extends Layers {
  readonly gatewayIntent: GatewayIntentLayer
  readonly gatewayRefund: GatewayRefundLayer
  readonly gatewayCustomers: CustomerGateway
  readonly gatewayReference: GatewayReferenceLayer
}

/**
 * The writes that the purpose of an order adds to the commits that settle its payment, by any settler: a request,
 * recovery, the gateway's event, reconciliation.
 *
 * This package has the purposes `merchant` and `invoice`; the composing process hands in `checkout`, because nothing
 * here knows of seats.
 */
export type Purposes = Readonly<Record<OrderPurpose, Purpose>>

export interface Purpose {
  /**
   * Reads what settling needs to know, under the order's lock. It must issue its reads before it awaits any of them, so
   * that they travel with the lock.
   */
  settling(deps: PaymentDeps, tx: Tx, payment: Payment): Promise<SettlingPurpose>
  /** A refund of the order got this far. */
  refunded(deps: PaymentDeps, tx: Tx, refund: Refund, end: RefundEnd): Promise<RefundAnswer>
  /** A refund has failed whose caller was answered that it was made: it was pending, or had succeeded. */
  refundLost(deps: PaymentDeps, tx: Tx, refund: Refund): Promise<void>
  /** A dispute of the payment gave money back to the merchant. `leftMinor`: what can be refunded of it now. */
  reinstated(deps: PaymentDeps, tx: Tx, payment: Reinstated): Promise<void>
}

export interface Reinstated extends Pick<Payment, 'id' | 'accountId' | 'orderId'> {
  readonly gatewayDisputeId: string
  readonly leftMinor: number
}

/** `next`: another refund that the caller waits for from here on. Null: the caller receives the refund itself. */
export type RefundAnswer = RecordedAnswer | { readonly next: Refund } | null

/** How far a payment is refunded. */
export interface RefundableAmount {
  /** Neither refunded, nor reserved by a refund that is under way, nor withdrawn by a dispute. */
  readonly leftMinor: number
  /** The gateway may still refuse a refund of it. One that the bank takes its time for is not unknown. */
  readonly isOutcomeUnknown: boolean
  /** A refund of it waits for an operator. */
  readonly isInReview: boolean
  /** A dispute is open, and the merchant may still win; or it was won, and the gateway has not returned the money. */
  readonly isDisputed: boolean
  readonly disputeState: DisputeState | null
}

export interface RefundEnd {
  readonly outcome: RefundOutcome
  /** What is left of the payment after it, by our books. Known where the refund failed: else nothing asks for it. */
  readonly left: RefundableAmount | null
}

/** The purpose in one settle that takes effect. Its methods write, and `payment` is as it stands after the settle. */
export interface SettlingPurpose {
  /** The step of the payment that the idempotency key of a request stands for, if the goal was this one. */
  readonly keyStep: (step: 'pay' | 'capture' | 'void') => PaymentStep | 'checkout'
  /** The money is reserved. `await`: the merchant decides. The other two are claimed in the same commit. */
  authorized(payment: Payment): Promise<'await' | 'capture' | 'void'>
  /** `isWithdrawn`: the order's owner no longer wanted the payment. */
  ended(payment: Payment, outcome: FinalOutcome, isWithdrawn: boolean): Promise<PaymentEnd>
}

export interface PaymentEnd {
  readonly orderState: OrderState
  /** The answer to the caller of the step. */
  readonly answer: (step: PaymentStep) => RecordedAnswer
  /** The answer to the requests that withdrew the payment. Null: none did. */
  readonly withdrawalAnswer: RecordedAnswer | null
  /** The money was taken and there is nothing for it: it is refunded, from this very commit on. */
  readonly isUnfulfilled: boolean
}

export interface PaymentPolicy {
  /** The whole time that one request to the gateway may take. */
  readonly gatewayDeadlineMs: number
  /** How long an owner may ask the gateway for one payment, or refund, before another may take it over. */
  readonly leaseMs: number
  /** Of payments that a client asks for. */
  readonly declineLimits: DeclineLimits
}

/** A connection from the pool (2 s), the advisory lock (2 s), and a handful of statements. */
export const transactionBudgetMs = 5_000
/** After this time no customer waits at the till any more. Recovery then makes sure that no money can be taken. */
export const wantedMs = 15 * 60_000
/** The gateway forgets a key after a day. What is open for longer needs a person; recovery goes on looking at it. */
export const reviewAfterMs = 24 * 3_600_000

/** The shortest lease under which an owner can send all its requests and settle. */
function shortestLeaseMs(gatewayDeadlineMs: number): number {
  const requests = Math.max(maxGatewayRequests, maxRefundRequests)
  return transactionBudgetMs + requests * gatewayDeadlineMs + transactionBudgetMs
}

/** Why these times cannot work together, or null. */
export function leaseProblem({
  gatewayDeadlineMs,
  leaseMs,
}: Pick<PaymentPolicy, 'gatewayDeadlineMs' | 'leaseMs'>): string | null {
  const shortestMs = shortestLeaseMs(gatewayDeadlineMs)
  if (leaseMs >= shortestMs) return null
  return `${leaseMs} ms is too short: with ${gatewayDeadlineMs} ms for a request to the gateway, all requests and the writing down of what came of them can take ${shortestMs} ms`
}

/** Why a quorum cannot be made of so many nodes, or null. An even number gives no more safety than one less. */
export function quorumProblem(nodes: number): string | null {
  return nodes >= 3 && nodes % 2 === 1
    ? null
    : `a quorum needs an odd number of Redis servers, three at least; there are ${nodes}`
}
