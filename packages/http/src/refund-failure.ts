import { type RefundObstacle, refundObstacle } from '@seatbelt/domain'

export interface RefundFailure {
  readonly failureCode: string
  readonly askedMinor: number
  /** What is left of the payment now. Null: it is not known. */
  readonly refundableMinor: number | null
}

/** The reason, and the next step of the caller. `retryable`: another request can succeed. */
export interface RefundAdvice {
  readonly reason: string
  readonly next: string
  readonly retryable: boolean
}

/** Says why the gateway refunded nothing. It never advises to repeat what cannot succeed. */
export function adviseAfterRefund({ failureCode, askedMinor, refundableMinor }: RefundFailure): RefundAdvice {
  const refused = refundObstacle(failureCode)
  // A dispute that has withdrawn everything leaves nothing to refund either.
  const obstacle = refundableMinor === 0 && refused !== 'disputed' ? 'already-refunded' : refused
  if (obstacle !== null) return { ...advice[obstacle], retryable: false }
  if (refundableMinor !== null && refundableMinor < askedMinor)
    return {
      reason: 'A part of the payment was refunded at the gateway, outside of this API.',
      next: `To refund the ${refundableMinor} minor units that are left, send a new request with a new key.`,
      retryable: true,
    }
  return {
    reason: 'The gateway gave nothing back.',
    next: 'To try again, send a new request with a new key.',
    retryable: true,
  }
}

const advice: Readonly<Record<RefundObstacle, Omit<RefundAdvice, 'retryable'>>> = {
  'already-refunded': {
    reason: 'The payment was refunded at the gateway, outside of this API.',
    next: 'Nothing is left to refund.',
  },
  disputed: {
    reason: 'The customer disputes the payment, so the gateway does not refund it.',
    next: 'The dispute decides about the money.',
  },
  'not-refundable': {
    reason: 'The gateway can no longer refund this payment.',
    next: 'Return the money in another way.',
  },
  'no-balance': {
    reason: 'The balance of the gateway account is too low for this refund.',
    next: 'Top it up at the gateway, or return the money in another way.',
  },
}
