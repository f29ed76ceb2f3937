import { assertResource, type FencedLease, type Lease, type Lock, type ReleaseOutcome } from './lock.ts'

/**
 * Fencing: a number that grows with each holder of a lock, and a guard before each write that refuses a number that is
 * not the latest. It is what keeps the writes of a paused holder out, which no lock can do.
 *
 * **Guarantees**: two tokens for one resource are never the same, and whoever drew later has the greater one; they are
 * counted by a row in PostgreSQL, so they go on where they were when the lock's Redis lost its data or failed over.
 * `admitFence`, called in the transaction that writes, lets only the latest token through; and since it keeps the row
 * until that transaction ends, nobody draws a newer one in between: when a new holder has its token, every write of the
 * old one is either committed, so that the new one reads it, or will be refused. A holder that never wrote anything
 * deposes the one before it all the same.
 *
 * **Does not guarantee**: anything about writes without the guard, or in another database than the counter's, or in a
 * system that cannot compare (a card gateway): there the fence is what that system does enforce. For a store of its own
 * that can compare, let it keep the greatest token that it has seen and refuse smaller ones; then a holder is deposed
 * only by the next one's first write. It is no lock: without one, everybody draws and only the last may write. Lost
 * with the database's data: after a fail-over to an asynchronous standby a token may come twice.
 *
 * **Fails with**: `StaleFence` from `admitFence`, which must leave the transaction, so that it is rolled back. What the
 * query throws comes through as it is. `fencedLock` refuses as its lock does, and as `unavailable` if no token could
 * be drawn.
 *
 * **Source**: Martin Kleppmann, "How to do distributed locking", 2016 ("Making the lock safe with fencing"); Cary G.
 * Gray and David R. Cheriton, "Leases", 1989; Mike Burrows, "The Chubby lock service", 2006 (sequencers).
 */
export async function drawFence(query: FenceQuery, resource: string): Promise<bigint> {
  assertResource(resource)
  const token = tokenIn(await query(drawStatement, [resource]))
  if (token === undefined) throw new Error('a fence was drawn, and the query did not resolve with its row')
  return token
}

/** In the transaction that writes, before the write. Throws `StaleFence` unless this is the latest token of its resource. */
export async function admitFence(query: FenceQuery, resource: string, token: bigint): Promise<void> {
  const latest = tokenIn(await query(admitStatement, [resource]))
  if (latest !== token) throw new StaleFence(resource, token, latest)
}

/**
 * The same lock, whose leases carry a fence. It keeps the contract of all locks, so that brackets take it as well.
 *
 * First the lock, then the token: in the other order a token could be older than the lock it stands for.
 */
export function fencedLock(lock: Lock, draw: (resource: string) => Promise<bigint>): Lock<FencedLease> {
  return {
    strategy: lock.strategy,
    async acquire(resource, options) {
      const acquisition = await lock.acquire(resource, options)
      if (!acquisition.acquired) return acquisition
      const { lease } = acquisition
      try {
        return { acquired: true, lease: new LeaseWithFence(lease, await draw(resource)) }
      } catch (cause) {
        await lease.release()
        return { acquired: false, reason: 'unavailable', cause }
      }
    },
  }
}

/** A class, because the deadline and the signal are those of the lease at the moment of the question. */
class LeaseWithFence implements FencedLease {
  readonly resource: string
  readonly token: string
  readonly fence: bigint
  readonly #lease: Lease

  constructor(lease: Lease, fence: bigint) {
    this.resource = lease.resource
    this.token = lease.token
    this.fence = fence
    this.#lease = lease
  }

  get deadline(): number {
    return this.#lease.deadline
  }

  get signal(): AbortSignal {
    return this.#lease.signal
  }

  release(): Promise<ReleaseOutcome> {
    return this.#lease.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease.release()
  }
}

/**
 * Runs one statement with positional parameters and resolves with its rows: `async (sql, params) => (await
 * client.query(sql, params)).rows` of `pg`, `(sql, params) => tx.$queryRawUnsafe(sql, ...params)` of Prisma. For
 * `admitFence`: inside the transaction that writes. For `drawFence`: outside any, so that the token is committed before
 * the work begins.
 */
export type FenceQuery = (sql: string, params: string[]) => Promise<unknown>

/** Somebody else has held the lock since: nothing may be written under this token. */
export class StaleFence extends Error {
  readonly code = 'stale-fence'
  readonly resource: string

  constructor(resource: string, token: bigint, latest: bigint | undefined) {
    super(
      latest === undefined
        ? `no fence was ever drawn for ${resource}, so ${token} is not one of its tokens`
        : `the lock on ${resource} has had another holder since: the latest fence is ${latest}, and this is ${token}`,
    )
    this.name = 'StaleFence'
    this.resource = resource
  }
}

/** One row a resource, for ever: a counter that is deleted would begin again. For the caller's own migrations. */
export const fenceTable = `
CREATE TABLE IF NOT EXISTS lock_fences (
  resource text PRIMARY KEY,
  token bigint NOT NULL CHECK (token > 0)
)`.trim()

/** As text, because drivers differ in what they make of a bigint. */
const drawStatement = `
INSERT INTO lock_fences AS fence (resource, token) VALUES ($1, 1)
ON CONFLICT (resource) DO UPDATE SET token = fence.token + 1
RETURNING token::text AS token`.trim()

/** FOR SHARE: several writes of one holder may be under way at once, and a draw waits until they have ended. */
const admitStatement = 'SELECT token::text AS token FROM lock_fences WHERE resource = $1 FOR SHARE'

function tokenIn(rows: unknown): bigint | undefined {
  if (!Array.isArray(rows)) throw new TypeError('a fence’s query must resolve with an array of rows')
  const token: unknown = rows[0]?.token
  return typeof token === 'string' ? BigInt(token) : undefined
}
