import { afterCommit, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import type { RecordedAnswer } from '@seatbelt/safety'
import type { BookingDeps } from '../shared/booking-deps.ts'

/** The answer to a hold that was just made, which whoever watches hears of once it is committed. */
export function answerHeld(
  { tell, renderings }: Pick<BookingDeps, 'tell' | 'renderings'>,
  tx: Tx,
  hold: Hold,
): { readonly kind: 'done'; readonly answer: RecordedAnswer } {
  const { eventId, seatIds, tierId, quantity } = hold
  afterCommit(tx, () => tell({ eventId, seatIds, tierId, quantity, state: 'held' }))
  return { kind: 'done', answer: renderings.holdCreated(hold) }
}
