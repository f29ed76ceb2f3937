/**
 * One owner's run through effect and settle, of a payment or of a refund.
 *
 * Every write of an owner names the generation that it claimed; a takeover raises the generation, and the writes of the
 * former owner then change nothing.
 */
export interface Attempt {
  /** Of the row. */
  readonly id: string
  readonly generation: number
  /** Stored with the generation, so that an owner whose COMMIT was not answered recognizes its own step. */
  readonly owner: string
  readonly lease: AttemptLease
}

/**
 * The owner's own view of its lease, by a monotonic clock that started before the claim.
 *
 * It ends before the database's view does, except where that clock stood still (a suspended machine). Then the
 * generation and the gateway fence hold, as after any pause.
 */
export interface AttemptLease {
  /** Whether there is time for one more whole request and for settling after it. */
  allowsRequest(): boolean
}
