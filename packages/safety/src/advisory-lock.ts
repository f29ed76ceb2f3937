import { type Database, lockTimeoutMs, type RollBack, type Tx } from '@seatbelt/database'
import { type LockMetrics, lockInTransaction } from '@seatbelt/locks'

/**
 * Layer 3: the advisory lock of the transaction that decides.
 *
 * Guarantees: of all transactions that decide about one resource, one at a time is past this line, whether or not Redis
 * was asked. The lock is a statement of its own before all reads: a statement that locked and read would see what was
 * true before it got the lock. All leave in one write, and PostgreSQL runs them in order.
 * Does not guarantee: anything about what happens between two transactions, such as the request to the gateway.
 * Fails with: `LockNotAvailable` when the lock is not granted in time; the transaction is then rolled back.
 * Source: PostgreSQL's manual, "Advisory Locks" and "Transaction Isolation" (READ COMMITTED).
 */
export type AdvisoryLockLayer = <T>(tx: Tx, resource: string, work: () => Promise<T>) => Promise<T>

export function createAdvisoryLockLayer(metrics: LockMetrics, waitMs: number = lockTimeoutMs): AdvisoryLockLayer {
  return (tx, resource, work) => {
    const query = (text: string, values: string[]) => tx.read({ text, values })
    // Not awaited: what `work` reads travels with it, and fails with it.
    lockInTransaction(query, resource, { lockTimeoutMs: waitMs, metrics }).catch(() => undefined)
    return work()
  }
}

interface LockingLayers {
  readonly transaction: Database['transaction']
  readonly advisoryLock: AdvisoryLockLayer
}

/**
 * Runs `work` in one transaction, under the advisory lock of the resource.
 *
 * The only place that takes this lock. A null resource takes none: then the transaction inserts what no other can
 * know yet, or locks the row that it decides about. Fails with `LockNotAvailable` where another transaction holds the
 * lock for too long; it is rolled back then.
 */
export function underLock<T, R = never>(
  { transaction, advisoryLock }: LockingLayers,
  resource: string | null,
  work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>,
): Promise<T | R> {
  if (resource === null) return transaction(work)
  return transaction<T, R>((tx, rollBack) => advisoryLock(tx, resource, () => work(tx, rollBack)))
}
