import type { Database } from '@seatbelt/database'
import {
  type CompareAndSet,
  type GatewayIntentLayer,
  type GatewayRefundLayer,
  type InsertOnce,
  type Layers,
  maxGatewayRequests,
  maxRefundRequests,
  type OwnLease,
} from '@seatbelt/safety'
import type { Renderings } from './operations.ts'
import type { CheckoutSteps } from './purposes.ts'

/** What the operations are made of. Plain arguments; whoever composes decides. */
export interface PaymentDeps {
  readonly database: Database
  readonly layers: PaymentLayers
  readonly renderings: Renderings
  readonly checkouts: CheckoutSteps
  readonly policy: PaymentPolicy
  /** A UUIDv7, so that ids sort by the time they were made. */
  readonly newId: () => string
  /** The instance name that this process writes into histories. */
  readonly by: string
}

export interface PaymentLayers extends Layers {
  readonly compareAndSet: CompareAndSet
  readonly insertOnce: InsertOnce
  readonly gatewayIntent: GatewayIntentLayer
  readonly gatewayRefund: GatewayRefundLayer
}

export interface PaymentPolicy {
  /** The whole time that one request to the gateway may take. */
  readonly gatewayDeadlineMs: number
  /** How long an owner may ask the gateway for one payment, or refund, before anybody else may. */
  readonly leaseMs: number
}

/** A connection from the pool (2 s), the advisory lock (2 s), and a handful of statements. */
const transactionBudgetMs = 5_000
/** After this time nobody waits at the till any more: recovery then makes sure that no money can be taken. */
export const wantedMs = 15 * 60_000
/** The gateway forgets a key after a day. What a day of looking could not settle needs a person, and goes on being looked at. */
export const reviewAfterMs = 24 * 3_600_000

/** The shortest lease under which an owner can send all its requests and write down what came of them. */
function shortestLeaseMs(gatewayDeadlineMs: number): number {
  const requests = Math.max(maxGatewayRequests, maxRefundRequests)
  return transactionBudgetMs + requests * gatewayDeadlineMs + transactionBudgetMs
}

/** Why these times cannot work together, or null. */
export function leaseProblem({ gatewayDeadlineMs, leaseMs }: PaymentPolicy): string | null {
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

/** Must be called before the statement that writes the lease, so that the owner's view ends before everybody else's. */
export function startOwnLease({ gatewayDeadlineMs, leaseMs }: PaymentPolicy): OwnLease {
  const endsAtMs = performance.now() + leaseMs
  return { allowsRequest: () => performance.now() + gatewayDeadlineMs + transactionBudgetMs <= endsAtMs }
}
