import type { GatewayIntent, GatewayRefund } from '@seatbelt/safety'

/** Something that the gateway told without being asked. Signed by it, and nevertheless late, twice, or out of order. */
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
  | { readonly kind: 'other' }

/** The ids that we sent with our requests. Whoever has access to the account at the gateway can write others. */
export interface NamedByUs {
  readonly accountId: string | null
  readonly paymentId: string | null
  readonly refundId: string | null
}

/** What an event means for the payment or the refund that it is about, as the row stands. */
export type Verdict =
  /** It proves what has become of it. */
  | { readonly kind: 'evidence' }
  /** It may bring news, or be older than what is known: whoever looks will see. */
  | { readonly kind: 'hint' }
  /** It is known already. */
  | { readonly kind: 'agrees' }
  | { readonly kind: 'contradicts'; readonly why: string }

/** The line of history that tells where the evidence came from. */
export function eventTrail({ id, type, requestId }: GatewayEvent) {
  return [{ atMs: performance.now(), event: 'gateway-event', gatewayRequestId: requestId, detail: `${type} ${id}` }]
}
