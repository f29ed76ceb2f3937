import type { Violation } from '../invariant.ts'
import { searchSeatHistory } from '../search-seat-history.ts'
import type { SeatAttempt } from '../seat-attempt.ts'
import { seatOperations } from '../seat-operations.ts'

export interface SeatHistoriesJudged {
  /** Seats of which something was acknowledged. */
  readonly checked: number
  readonly violations: readonly Violation[]
  /** Seats whose search was broken off. */
  readonly unfinished: number
}

/** Judges what clients were told of each seat, seat by seat. */
export function judgeSeatHistories(attempts: readonly SeatAttempt[]): SeatHistoriesJudged {
  const findings = [...seatOperations(attempts)].map(([seatId, operations]) => ({
    seatId,
    finding: searchSeatHistory(operations),
  }))
  return {
    checked: findings.length,
    violations: findings.flatMap(({ seatId, finding }) =>
      finding.kind === 'unexplained' ? [{ subject: seatId, what: finding.what }] : [],
    ),
    unfinished: findings.filter(({ finding }) => finding.kind === 'unknown').length,
  }
}
