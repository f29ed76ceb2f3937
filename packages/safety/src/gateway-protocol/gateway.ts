import type { Currency } from '@seatbelt/domain'

/**
 * The gateway as the layers see it: its requests, and answers sorted by what they prove.
 *
 * Nothing here throws for what a gateway may do. A throw is a programming error.
 */
export interface Gateway extends IntentGateway, RefundGateway, GatewayLists {}

/** What layer 6 asks of a payment. */
export interface IntentGateway {
  /** Creates an unconfirmed intent. It moves no money, so that doing it twice is harmless. */
  createIntent(parameters: IntentParameters, idempotencyKey: string): Promise<GatewayAnswer>
  /** Asks for the money, or with manual capture for a hold on it. */
  confirmIntent(intentId: string, parameters: IntentParameters, idempotencyKey: string): Promise<GatewayAnswer>
  /** Takes all of what is on hold. */
  captureIntent(intentId: string, idempotencyKey: string): Promise<GatewayAnswer>
  /** After this was answered with a cancelled intent, no confirm of anybody can move money any more. */
  cancelIntent(intentId: string, idempotencyKey: string): Promise<GatewayAnswer>
  /** Looks, and changes nothing. */
  retrieveIntent(intentId: string): Promise<GatewayAnswer>
}

/** What a refund asks. */
export interface RefundGateway {
  createRefund(parameters: RefundParameters, idempotencyKey: string): Promise<RefundAnswer>
  retrieveRefund(gatewayRefundId: string): Promise<RefundAnswer>
  /** The refunds of one intent, newest first: a hundred at most, and whether there are more. */
  listRefundsOf(intentId: string): Promise<ListAnswer<GatewayRefund>>
}

/** What reconciliation asks: all that happened in a time, newest first, page by page. */
export interface GatewayLists {
  listCharges(page: GatewayPage): Promise<ListAnswer<GatewayCharge>>
  listRefunds(page: GatewayPage): Promise<ListAnswer<GatewayRefund>>
}

export interface GatewayPage {
  /** Both included; the gateway counts whole seconds. */
  readonly createdFrom: Date
  readonly createdTo: Date
  /** The id of the last item of the page before; null begins. */
  readonly after: string | null
  readonly limit: number
}

/** Stored with the payment as sent: the gateway compares the parameters of requests that carry the same key. */
export interface IntentParameters {
  readonly amountMinor: number
  readonly currency: Currency
  readonly paymentMethod: string
  readonly metadata: { readonly paymentId: string; readonly orderId: string; readonly accountId: string }
  /** Only puts the amount on hold, until it is captured or cancelled. */
  readonly captureMethod?: 'manual'
  /** Whose attached payment method it is, charged while they are not there to be asked. */
  readonly offSessionCustomer?: string
}

export interface RefundParameters {
  readonly intentId: string
  readonly amountMinor: number
  /** Finds ours among the refunds of an intent: a refund has no id before it is answered. */
  readonly metadata: { readonly refundId: string; readonly orderId: string; readonly accountId: string }
}

export interface GatewayRefund {
  readonly id: string
  readonly status: 'pending' | 'requires_action' | 'succeeded' | 'failed' | 'canceled'
  readonly amountMinor: number
  readonly currency: string
  readonly intentId: string | null
  readonly chargeId: string | null
  readonly failureReason: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly createdAt: Date
}

export interface GatewayCharge {
  readonly id: string
  readonly status: 'succeeded' | 'pending' | 'failed'
  readonly intentId: string | null
  readonly amountMinor: number
  /** Taken of it so far; 0 while it is only on hold. */
  readonly capturedMinor: number
  readonly refundedMinor: number
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>>
  readonly createdAt: Date
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
  /** Taken of it. It can be less than the amount where somebody captured by hand. */
  readonly receivedMinor: number
  /** Upper case, as everywhere in this house; the wire has it in lower case. */
  readonly currency: string
  /** The charge that holds the money, once there is one. */
  readonly chargeId: string | null
  /** Of the last try that the card's bank refused. */
  readonly declineCode: string | null
  readonly metadata: Readonly<Record<string, string>>
}

/** 2xx with an intent in it, or why not. */
export type GatewayAnswer =
  | { readonly kind: 'intent'; readonly intent: GatewayIntent; readonly requestId: string | null }
  | NoAnswer

export type RefundAnswer =
  | { readonly kind: 'refund'; readonly refund: GatewayRefund; readonly requestId: string | null }
  | NoAnswer

export type ListAnswer<Item> =
  | {
      readonly kind: 'list'
      readonly items: readonly Item[]
      readonly hasMore: boolean
      readonly requestId: string | null
    }
  | NoAnswer

/** An answer without what was asked for, sorted by what it proves. */
export type NoAnswer =
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
      /** The gateway said that it repeats what it recorded under the key: the first request with it has ended. */
      readonly replayed: boolean
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
