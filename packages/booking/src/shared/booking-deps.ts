import type { PaymentDeps, PaymentLayers } from '@seatbelt/payments'
import type { SeatHintLayer } from '@seatbelt/safety'
import type { TellSeatChange } from '../live/seat-change.ts'
import type { BookingRenderings } from './operations.ts'

/** What the operations are made of. Plain arguments; whoever composes decides. */
export interface BookingDeps {
  /** Its `renderings` are those of payments. */
  readonly payments: PaymentDeps
  readonly layers: BookingLayers
  readonly renderings: BookingRenderings
  readonly policy: BookingPolicy
  readonly tell: TellSeatChange
}

export interface BookingLayers extends PaymentLayers {
  readonly seatHint: SeatHintLayer
}

export interface BookingPolicy {
  /** How long a hold keeps its seats, and how long it keeps them anew when it is extended. */
  readonly holdMs: number
}
