import type { Tx } from '@seatbelt/database'
import type { Payment, Refund, RefundOutcome } from '@seatbelt/domain'
import type { FinalOutcome, RecordedAnswer } from '@seatbelt/safety'

/**
 * What belongs into the commits that settle the payment of a checkout, whoever settles it: the API, the worker, or the gateway's
 * word. Made by packages/booking and handed in by whoever composes, because nothing here knows of seats.
 *
 * All of them run under the order's lock, and only for the one settle that took effect.
 */
export interface CheckoutSteps {
  /** The amount is on hold. Books what it is for, if that is still there; otherwise the money is to be given back. */
  authorized(tx: Tx, payment: Payment): Promise<'capture' | 'void'>
  /** The payment has ended. The order is `paid`, or `cancelled`. */
  ended(tx: Tx, payment: Payment, outcome: FinalOutcome): Promise<CheckoutEnd>
  /** A refund got this far. Null: it is not that of a cancelled booking, and its caller is told of the refund. */
  refunded(tx: Tx, refund: Refund, outcome: RefundOutcome): Promise<RecordedAnswer | null>
}

export interface CheckoutEnd {
  /** What the checkout's caller is told. */
  readonly answer: RecordedAnswer
  /** The money was taken and there is nothing for it: it is given back, from this very commit on. */
  readonly paidInVain: boolean
}
