import type { Tx } from '@seatbelt/database'
import type { GatewayDispute, GatewayIntent, GatewayRefund } from '@seatbelt/safety'
import type { FoundOrphan } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** An event of the gateway. It is signed, and may nevertheless arrive late, twice, or out of order. */
export interface GatewayEvent {
  readonly id: string
  readonly type: string
  /** The request at the gateway that caused it. */
  readonly requestId: string | null
  readonly subject: EventSubject
}

/** What an event is about. `shown`: as it was when the event was made; null where that cannot be read. */
export type EventSubject =
  | {
      readonly kind: 'intent'
      readonly intentId: string
      readonly named: NamedByUs
      readonly shown: GatewayIntent | null
    }
  | {
      readonly kind: 'refund'
      readonly gatewayRefundId: string
      readonly named: NamedByUs
      readonly shown: GatewayRefund | null
    }
  | { readonly kind: 'charge'; readonly intentId: string | null; readonly named: NamedByUs }
  | {
      readonly kind: 'dispute'
      readonly shown: GatewayDispute
      /** When the event was made. The gateway counts whole seconds. */
      readonly seenAt: Date
    }
  | { readonly kind: 'other' }

/**
 * The names that we sent with our requests: gateway references, or ids where an earlier version sent them.
 *
 * A person with access to the account at the gateway can write others.
 */
export interface NamedByUs {
  readonly accountId: string | null
  readonly orderId: string | null
  readonly paymentId: string | null
  readonly refundId: string | null
}

/** What an event means for the payment or the refund that it is about, as the row stands. */
export type Verdict =
  /** It proves what has become of it. `settle` writes that, under the order's lock. */
  | { readonly kind: 'evidence'; readonly settle: (deps: PaymentDeps, tx: Tx) => Promise<void> }
  /** It may bring news, or be older than what is known. Recovery looks. */
  | { readonly kind: 'hint' }
  /** It is known already. */
  | { readonly kind: 'agrees' }
  /** `orphan`: money under our name that no row of ours owns. Null: our books name it, and reconciliation finds it. */
  | { readonly kind: 'contradicts'; readonly why: string; readonly orphan: FoundOrphan | null }

/** The line of history that says where the evidence came from. */
export function eventLog({ runtime }: Pick<PaymentDeps, 'runtime'>, { id, type, requestId }: GatewayEvent) {
  const detail = `${type} ${id}`
  const entry = { event: 'gateway-event', gatewayRequestId: requestId, detail, gatewayMessage: null }
  return [{ ...entry, atMs: runtime.monotonicMs() }]
}
