/** Where an account hears of what happened. The secrets that sign are never part of what is shown. */
export interface WebhookEndpoint {
  readonly url: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** `pending` is tried until it is `delivered`, or `dead` after a day of tries; a person can have what is dead tried anew. */
export type WebhookDeliveryState = 'pending' | 'delivered' | 'dead'

/** One fact on its way to an account's endpoint. Its id is the `webhook-id` that the receiver sees, with every try. */
export interface WebhookDelivery {
  readonly id: string
  readonly topic: string
  /** The payment, refund, dispute, invoice or booking that it tells of. */
  readonly subjectId: string
  readonly state: WebhookDeliveryState
  /** Since it was written, or since it was last replayed. */
  readonly attempts: number
  readonly lastError: string | null
  readonly createdAt: Date
  /** Null unless it is pending. */
  readonly nextAttemptAt: Date | null
  readonly deliveredAt: Date | null
  readonly deadAt: Date | null
}
