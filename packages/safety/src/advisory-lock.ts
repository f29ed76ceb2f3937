import { lockTimeoutMs, type Tx } from '@seatbelt/database'
import { type LockMetrics, lockInTransaction } from '@seatbelt/locks'

/**
 * Layer 3: the advisory lock of the transaction that decides.
 *
 * Guarantees: of all transactions that decide about one resource, one at a time is past this line, whether or not Redis
 * was asked. It is the first statement, and what is read under it is read by later statements: a statement that locked and
 * read would see what was true before it got the lock.
 * Does not guarantee: anything about what happens between two transactions, such as the request to the gateway.
 * Fails with: `LockTimeout` when the lock is not had in time; the transaction is then rolled back.
 * Source: PostgreSQL's manual, "Advisory Locks" and "Transaction Isolation" (READ COMMITTED).
 */
export type AdvisoryLockLayer = <T>(tx: Tx, resource: string, work: () => Promise<T>) => Promise<T>

export function createAdvisoryLockLayer(metrics: LockMetrics): AdvisoryLockLayer {
  return async (tx, resource, work) => {
    const query = (sql: string, parameters: string[]) => tx.$queryRawUnsafe(sql, ...parameters)
    await lockInTransaction(query, resource, { lockTimeoutMs, metrics })
    return work()
  }
}
