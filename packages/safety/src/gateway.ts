import type { Currency } from '@seatbelt/domain'

/**
 * The gateway as the layers see it: four requests, and answers sorted by what they prove.
 *
 * Nothing here throws for what a gateway may do. A throw is a programming error.
 */
export interface Gateway {
  /** Creates an unconfirmed intent. It moves no money, so that doing it twice is harmless. */
  createIntent(parameters: IntentParameters, idempotencyKey: string): Promise<GatewayAnswer>
  /** Asks for the money. */
  confirmIntent(intentId: string, idempotencyKey: string): Promise<GatewayAnswer>
  /** After this was answered with a cancelled intent, no confirm of anybody can move money any more. */
  cancelIntent(intentId: string, idempotencyKey: string): Promise<GatewayAnswer>
  /** Looks, and changes nothing. */
  retrieveIntent(intentId: string): Promise<GatewayAnswer>
}

/** Stored with the payment as sent: the gateway compares the parameters of requests that carry the same key. */
export interface IntentParameters {
  readonly amountMinor: number
  readonly currency: Currency
  readonly paymentMethod: string
  readonly metadata: { readonly paymentId: string; readonly orderId: string; readonly accountId: string }
}

export interface GatewayIntent {
  readonly id: string
  readonly status:
    | 'requires_payment_method'
    | 'requires_confirmation'
    | 'requires_action'
    | 'processing'
    | 'requires_capture'
    | 'succeeded'
    | 'canceled'
  readonly amountMinor: number
  /** Upper case, as everywhere in this house; the wire has it in lower case. */
  readonly currency: string
  /** The charge that holds the money, once there is one. */
  readonly chargeId: string | null
  /** Of the last try that the card's bank refused. */
  readonly declineCode: string | null
  readonly metadata: Readonly<Record<string, string>>
}

export type GatewayAnswer =
  /** 2xx with an intent in it. */
  | { readonly kind: 'intent'; readonly intent: GatewayIntent; readonly requestId: string | null }
  /** A card error (402): evidence that no money moved. */
  | { readonly kind: 'declined'; readonly declineCode: string; readonly requestId: string | null }
  /** Any other 4xx that could be read, without 401, 403, 409, 429 and the reuse of a key. What it proves depends on what was asked. */
  | {
      readonly kind: 'rejected'
      readonly status: number
      readonly errorCode: string
      readonly requestId: string | null
    }
  /** The request may or may not have had its effect. */
  | {
      readonly kind: 'unknown'
      readonly reason: UnknownReason
      readonly status: number | null
      readonly requestId: string | null
    }

export type UnknownReason =
  /** No whole answer within the deadline. */
  | 'deadline'
  /** The connection was refused, or too many requests wait for one: proof, as is `lease-over`, that nothing was sent. */
  | 'not-sent'
  /** The connection broke after it was made. */
  | 'connection'
  /** A 5xx. The gateway records it under the key and will say it again. */
  | 'server-error'
  /** HTML, garbage, half an answer. */
  | 'unreadable'
  /** 409: the first request with this key is still being worked on. */
  | 'key-in-use'
  /** 400: the key was sent before with other parameters. */
  | 'key-reused'
  | 'rate-limited'
  /** 401 or 403: our key for the gateway is wrong. */
  | 'unauthorized'
  /** Nothing was sent: the owner's lease had no time left for a whole request. */
  | 'lease-over'
