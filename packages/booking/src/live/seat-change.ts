import type { SeatState } from '@seatbelt/domain'

/** Seats, or places of a tier, that changed hands. What an event's live stream tells. */
export interface SeatChange {
  readonly eventId: string
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  /** What they are now. */
  readonly state: SeatState
}

/**
 * Tells of a change that was committed. It returns at once, never throws and promises nothing: the stream is a convenience, and
 * whoever must know asks for the map.
 */
export type TellSeatChange = (change: SeatChange) => void
