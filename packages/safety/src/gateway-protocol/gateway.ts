import type { Currency } from '@seatbelt/domain'

/**
 * The gateway as the layers see it: its requests, and answers sorted by what they prove.
 *
 * A method throws only for a programming error, never for anything that a gateway may do.
 */
export interface Gateway extends IntentGateway, RefundGateway, CustomerGateway, GatewayLists {}

/** The requests of layer 6 for a payment. */
export interface IntentGateway {
  /** Creates an unconfirmed intent. That moves no money, so doing it twice is harmless. */
  createIntent(parameters: IntentParameters, idempotencyKey: string): Promise<GatewayAnswer>
  /** Takes the money, or only authorizes it with manual capture. */
  confirmIntent(intentId: string, parameters: IntentParameters, idempotencyKey: string): Promise<GatewayAnswer>
  /** Takes the whole authorized amount. `accountId`: the account that the intent belongs to. */
  captureIntent(intentId: string, idempotencyKey: string, accountId: string): Promise<GatewayAnswer>
  /** Once the answer shows a cancelled intent, no confirm can move money any more. */
  cancelIntent(intentId: string, idempotencyKey: string, accountId: string): Promise<GatewayAnswer>
  /** Changes nothing. */
  retrieveIntent(intentId: string): Promise<GatewayAnswer>
}

/** The requests of layer 6 for a refund. */
export interface RefundGateway {
  createRefund(parameters: RefundParameters, idempotencyKey: string): Promise<RefundAnswer>
  retrieveRefund(gatewayRefundId: string): Promise<RefundAnswer>
  /** The refunds of one intent, newest first: at most a hundred, and whether there are more. */
  listRefundsOf(intentId: string): Promise<ListAnswer<GatewayRefund>>
}

/** The requests for customers, who are charged while they are away. None of them moves money. */
export interface CustomerGateway {
  createCustomer(metadata: CustomerMetadata, idempotencyKey: string): Promise<CustomerAnswer>
  /** `accountId`: the account that asks. */
  retrieveCustomer(gatewayCustomerId: string, accountId: string): Promise<CustomerAnswer>
}

/** Says at the gateway whose customer it is. */
export interface CustomerMetadata {
  readonly accountId: string
  readonly customerId: string
}

export interface CustomerAtGateway {
  readonly id: string
  /** Empty for a customer that was deleted. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The requests of reconciliation: all that happened in a period, newest first, page by page. */
export interface GatewayLists {
  listCharges(page: GatewayPage): Promise<ListAnswer<GatewayCharge>>
  listRefunds(page: GatewayPage): Promise<ListAnswer<GatewayRefund>>
  listDisputes(page: GatewayPage): Promise<ListAnswer<GatewayDispute>>
  retrieveDispute(gatewayDisputeId: string): Promise<DisputeAnswer>
}

export interface GatewayPage {
  /** Both included; the gateway counts whole seconds. */
  readonly createdFrom: Date
  readonly createdTo: Date
  /** The id of the last item of the page before. Null: the first page. */
  readonly after: string | null
  readonly limit: number
}

/** Stored with the payment as sent, because the gateway compares the parameters of requests with the same key. */
export interface IntentParameters {
  readonly amountMinor: number
  readonly currency: Currency
  readonly paymentMethod: string
  /**
   * `confirm`: card and capture mode go with the confirm, so that the creation carries only what the order fixes.
   * Missing for payments that an earlier version claimed: it sent both with the creation.
   */
  readonly cardWith?: 'confirm'
  /** The gateway references of the payment and its order. For payments of an earlier version, their ids. */
  readonly metadata: { readonly paymentId: string; readonly orderId: string; readonly accountId: string }
  /** Only authorizes the amount, until it is captured or cancelled. */
  readonly captureMethod?: 'manual'
  /** The customer of the payment method, who is charged without being there to authenticate. */
  readonly offSessionCustomer?: string
}

export interface RefundParameters {
  readonly intentId: string
  readonly amountMinor: number
  /** Gateway references. They find our refund among those of an intent: it has no id before it is answered. */
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

export interface GatewayDispute {
  readonly id: string
  /** The gateway's own word. A new one is possible at any time, and is no reason not to read the rest. */
  readonly status: string
  readonly reason: string
  readonly amountMinor: number
  readonly currency: string
  readonly intentId: string | null
  readonly allowsRefunds: boolean
  /** Null: the movements are in another currency than the dispute, and prove no amount in its own. */
  readonly moved: { readonly withdrawnMinor: number; readonly reinstatedMinor: number } | null
  readonly respondBy: Date | null
  readonly createdAt: Date
}

export interface GatewayCharge {
  readonly id: string
  readonly status: 'succeeded' | 'pending' | 'failed'
  readonly intentId: string | null
  readonly amountMinor: number
  /** Taken of it so far; 0 while it is only authorized. */
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
  /** Taken of it. A capture by hand can take less than the amount. */
  readonly receivedMinor: number
  /** In upper case, as everywhere here; on the wire it is in lower case. */
  readonly currency: string
  /** The charge that has the money or its authorization, once there is one. */
  readonly chargeId: string | null
  /** Of the last confirm that failed. Null: none has failed, or the intent was changed since. */
  readonly declineCode: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly createdAt: Date
}

/** An intent (2xx), or an answer without one. */
export type GatewayAnswer =
  | { readonly kind: 'intent'; readonly intent: GatewayIntent; readonly requestId: string | null }
  | NoAnswer

export type RefundAnswer =
  | { readonly kind: 'refund'; readonly refund: GatewayRefund; readonly requestId: string | null }
  | NoAnswer

export type DisputeAnswer =
  | { readonly kind: 'dispute'; readonly dispute: GatewayDispute; readonly requestId: string | null }
  | NoAnswer

export type CustomerAnswer =
  | { readonly kind: 'customer'; readonly customer: CustomerAtGateway; readonly requestId: string | null }
  | NoAnswer

export type ListAnswer<Item> =
  | {
      readonly kind: 'list'
      readonly items: readonly Item[]
      readonly hasMore: boolean
      readonly requestId: string | null
    }
  | NoAnswer

/** An answer that does not show the object, sorted by what it proves. */
export type NoAnswer =
  /** A card error (402): evidence that no money moved. */
  | { readonly kind: 'declined'; readonly declineCode: string; readonly requestId: string | null }
  /** Any other readable 4xx, except 401, 403, 409, 429 and the reuse of a key. The request decides what it proves. */
  | {
      readonly kind: 'rejected'
      readonly status: number
      readonly errorCode: string
      readonly about: RefusedPart
      /** The gateway's own words, for the log and the history. No answer of ours carries them. */
      readonly message: string | null
      readonly requestId: string | null
    }
  /** There is no evidence that the request had its effect. The reason `not-sent` alone proves that it had none. */
  | {
      readonly kind: 'unknown'
      readonly reason: UnknownReason
      readonly status: number | null
      /** The gateway repeats the answer that it recorded for this key: the first request with the key has ended. */
      readonly replayed: boolean
      readonly requestId: string | null
    }

/**
 * The part that the gateway found wrong: the payment method (or its customer) that the client named, the state of the
 * object of the request, or anything else in our request. Only the last means that our software, or its account at the
 * gateway, must be repaired.
 */
export type RefusedPart = 'payment-method' | 'state' | 'request'

export type UnknownReason =
  /** No whole answer within the deadline. */
  | 'deadline'
  /** The connection was refused, or too many requests wait for one. It proves that nothing was sent. */
  | 'not-sent'
  /** The connection broke after it was made. */
  | 'connection'
  /** A 5xx. The gateway records it under the key and repeats it. */
  | 'server-error'
  /** HTML, garbage, half an answer. */
  | 'unreadable'
  /** 409: the gateway still works on the first request with this key. */
  | 'key-in-use'
  /** 400: an earlier request had the same key and other parameters. */
  | 'key-reused'
  | 'rate-limited'
  /** 401: the gateway does not accept our API key. */
  | 'unauthorized'
  /** 403: our API key does not allow this kind of request. */
  | 'forbidden'
