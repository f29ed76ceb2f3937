import type { Redis } from 'ioredis'
import type { Registry } from 'prom-client'
import type { SeatChange, TellSeatChange } from './seat-change.ts'
import { createSeatChangeReader } from './seat-change-reader.ts'
import { createSeatChangeWriter } from './seat-change-writer.ts'

/**
 * What an event's seats went through lately, in one Redis stream an event, for all replicas to write and to follow.
 *
 * Guarantees: whoever follows is told of every change that was written after the position from which he follows, in the order in
 * which they were written, or is told `reset`: that something may be missing, and the map must be asked for.
 * Does not guarantee: that a change is written. Redis may be away, and a process may die between its commit and the writing. Nor
 * that two changes of one seat by two replicas within some milliseconds are written in the order of their commits.
 * Source: https://redis.io/docs/latest/develop/data-types/streams/
 */
export interface SeatChangeLog {
  readonly tell: TellSeatChange
  /**
   * Follows an event's changes, from after the position `after`, or from about now if that is null. Resolves with what ends it, and
   * with null if Redis does not answer. The listener must not throw.
   */
  follow(eventId: string, after: string | null, listener: NewsListener): Promise<(() => void) | null>
  close(): Promise<void>
}

/** Several at once, in order. All listeners of an event are given the same array of what is new to all of them. */
export type NewsListener = (news: readonly SeatNews[]) => void

/** `id`: the position after it, from which following can be gone on with. */
export type SeatNews =
  /** It is followed from here on. */
  | { readonly kind: 'start'; readonly id: string }
  | { readonly kind: 'change'; readonly id: string; readonly change: SeatChange }
  /** Something may be missing before this. */
  | { readonly kind: 'reset'; readonly id: string }

export interface SeatChangeLogOptions {
  /** With `redisLockClientOptions`, or the like. It stays the caller's to close; the reader has a connection of its own. */
  readonly redis: Redis
  readonly registry: Registry
  /** In front of each event's id. */
  readonly keyPrefix?: string
}

export function createSeatChangeLog({
  redis,
  registry,
  keyPrefix = 'seat-changes:',
}: SeatChangeLogOptions): SeatChangeLog {
  const writer = createSeatChangeWriter({ redis, registry, keyPrefix })
  const reader = createSeatChangeReader({ redis, registry, keyPrefix })
  return {
    tell: writer.tell,
    follow: reader.follow,
    close: async () => {
      writer.close()
      await reader.close()
    },
  }
}
