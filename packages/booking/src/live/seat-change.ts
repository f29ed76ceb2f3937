import type { Tx } from '@seatbelt/database'
import type { Hold, SeatState } from '@seatbelt/domain'
import type { SeatPreCheckLayer } from '@seatbelt/safety'
import type { Redis } from 'ioredis'
import type { Registry } from 'prom-client'

/** Seats, or places of a tier, that changed hands. One entry of an event's live stream. */
export interface SeatChange {
  readonly eventId: string
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  /** Since the change. */
  readonly state: SeatState
}

/** A message to a follower of an event. `id`: the position after it, from which following can be resumed. */
export type SeatEvent =
  /** Following begins here. */
  | { readonly kind: 'start'; readonly id: string }
  | { readonly kind: 'change'; readonly id: string; readonly change: SeatChange }
  /** Changes before this may be missing. */
  | { readonly kind: 'reset'; readonly id: string }

/** The seats or places of a hold or of a booking. */
export type SeatsOrPlaces = Pick<Hold, 'accountId' | 'eventId' | 'seatIds' | 'tierId' | 'quantity'>

/**
 * Publishes a change once the transaction is committed.
 *
 * It promises nothing: the stream is a convenience, and a client that must know reads the map.
 */
export type PublishSeatChange = (tx: Tx, of: SeatsOrPlaces, state: SeatState) => void

/** Free seats are also forgotten by the pre-check, so that the next request for them gets through. */
export function createSeatChangePublisher(
  append: (change: SeatChange) => void,
  { forget }: Pick<SeatPreCheckLayer, 'forget'>,
): PublishSeatChange {
  return (tx, { accountId, eventId, seatIds, tierId, quantity }, state) =>
    tx.afterCommit(() => {
      if (state === 'free') forget(accountId, seatIds)
      append({ eventId, seatIds, tierId, quantity, state })
    })
}

/** Receives several events in order. All listeners of an event receive the same array of what is new to all of them. */
export type SeatEventListener = (events: readonly SeatEvent[]) => void

export interface SeatChangeLogOptions {
  /** With `redisLockClientOptions`, or the like. The caller closes it; the reader has a connection of its own. */
  readonly redis: Redis
  readonly registry: Registry
  /** In front of each event's id. */
  readonly keyPrefix?: string
}
