import { type Database, sql } from '@seatbelt/database'
import type { RefundStore } from '@seatbelt/safety'
import { isOwnedBy, leasedRefunds } from '../shared/leased-work.ts'

/** The write of an owner between two requests to the gateway. From here on the gateway must remember another key. */
export function createRefundStore(database: Pick<Database, 'query'>): RefundStore {
  return {
    useNextKey: async (attempt) => {
      const changed = await database.query(sql`
        UPDATE refunds SET refund_attempt = ${attempt.keyNumber + 1}, attempt_since = clock_timestamp()
         WHERE ${isOwnedBy(leasedRefunds, attempt)} AND refund_attempt = ${attempt.keyNumber} RETURNING 1`)
      return changed.length === 1
    },
  }
}
