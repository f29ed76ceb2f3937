export interface TokenBucketOptions {
  /** How many a second, in the long run. */
  readonly perSecond: number
  /** How many at once, after a pause. */
  readonly burst: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export interface TokenBuckets {
  /** Takes one token, or says in how many whole seconds there will be one. */
  take(name: string): { readonly allowed: true } | { readonly allowed: false; readonly retryAfterSeconds: number }
}

/** A full bucket per name and 10,000 names: about a megabyte. */
const maxBuckets = 10_000

interface Bucket {
  tokens: number
  filledAtMs: number
}

/**
 * A token bucket per name, in this process alone: three replicas let three times as much through. It protects a replica
 * from one caller; it is no quota. Nothing is shared, because a limit that needs Redis would fail with Redis.
 *
 * The name that was idle longest is forgotten when there are too many, and then starts with a full bucket.
 */
export function createTokenBuckets(options: TokenBucketOptions): TokenBuckets {
  const now = options.now ?? (() => performance.now())
  const buckets = new Map<string, Bucket>()
  return {
    take(name) {
      const bucket = buckets.get(name) ?? { tokens: options.burst, filledAtMs: now() }
      refill(bucket, now(), options)
      // Set again, so that the map's order is the order of last use.
      buckets.delete(name)
      buckets.set(name, bucket)
      forgetOldest(buckets)
      if (bucket.tokens < 1) {
        return { allowed: false, retryAfterSeconds: Math.ceil((1 - bucket.tokens) / options.perSecond) }
      }
      bucket.tokens -= 1
      return { allowed: true }
    },
  }
}

function refill(bucket: Bucket, nowMs: number, { perSecond, burst }: TokenBucketOptions): void {
  bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.filledAtMs) / 1000) * perSecond)
  bucket.filledAtMs = nowMs
}

function forgetOldest(buckets: Map<string, Bucket>): void {
  if (buckets.size <= maxBuckets) return
  for (const name of buckets.keys()) {
    buckets.delete(name)
    return
  }
}
