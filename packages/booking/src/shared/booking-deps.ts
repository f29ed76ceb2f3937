import type { PaymentDeps } from '@seatbelt/payments'
import type { SeatPreCheckLayer } from '@seatbelt/safety'
import type { PublishSeatChange } from '../live/seat-change.ts'
import type { BookingRenderings } from './operations.ts'

/** The dependencies of the operations. */
export interface BookingDeps {
  /** Also the layers, the database and the runtime. Its `renderings` are those of payments. */
  readonly payments: PaymentDeps
  /** Layer 0. */
  readonly seatPreCheck: SeatPreCheckLayer
  readonly renderings: BookingRenderings
  readonly policy: BookingPolicy
  readonly publishSeatChange: PublishSeatChange
}

export interface BookingPolicy {
  /** How long a hold keeps its seats, and how long it keeps them anew when it is extended. */
  readonly holdMs: number
  /** How long a customer whose hold ended without a payment cannot hold the same seats. 0: no pause. */
  readonly pauseMs: number
}
