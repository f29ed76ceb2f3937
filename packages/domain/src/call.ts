/** Who calls, with which idempotency key, and for what. */
export interface Call {
  readonly accountId: string
  readonly key: string
  /** SHA-256 over method, path and body; 32 bytes. */
  readonly fingerprint: Uint8Array
}

/**
 * How long a key and its answer are kept after the answer. A client may retry for so long; afterwards the same request
 * is a new one.
 *
 * Longer costs rows: each request with a key leaves one. Shorter is less than a client's longest outage.
 */
export const keyLifetimeHours = 24

/**
 * An answer as it went out the first time: stored under an idempotency key in the commit that settled it, and sent
 * again, byte for byte, to each copy of the request.
 */
export interface RecordedAnswer {
  readonly status: number
  readonly body: string
  readonly location: string | null
}
