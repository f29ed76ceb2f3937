/**
 * Everything that the backend may refuse on purpose, as values. What is broken is an Error, never one of these.
 *
 * A refusal before a claim changes nothing and is not recorded under the idempotency key. HTTP statuses are not known
 * here: `packages/http` maps each code to one, in a table that the compiler holds complete.
 */
export type Refusal =
  /** There is no such order, or it belongs to another account: the two cannot be told apart from outside. */
  | { readonly code: 'order-not-found'; readonly orderId: string }
  | { readonly code: 'payment-not-found'; readonly paymentId: string }
  | { readonly code: 'order-already-paid'; readonly orderId: string; readonly paymentId: string | null }
  | { readonly code: 'order-cancelled'; readonly orderId: string }
  /** Somebody else is deciding about, or paying for, the same order right now. */
  | { readonly code: 'payment-in-progress'; readonly orderId: string; readonly retryAfterSeconds: number }
  /** The first request with this key is still running. */
  | { readonly code: 'request-in-progress'; readonly retryAfterSeconds: number }
  /** The key was used before, for a different request. */
  | { readonly code: 'idempotency-key-reused' }
  /** A store that we cannot do without is down, and nothing of this request has been committed. */
  | { readonly code: 'temporarily-unavailable'; readonly retryAfterSeconds: number }

export type RefusalCode = Refusal['code']
