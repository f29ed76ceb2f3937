import type { SeatChange, SeatChangeLogOptions, SeatEventListener } from './seat-change.ts'
import { SeatChangeReader } from './seat-change-reader.ts'
import { createSeatChangeWriter } from './seat-change-writer.ts'

/**
 * The latest changes of an event's seats, in one Redis stream per event, which all replicas write and follow.
 *
 * Guarantees: a follower receives every change that was written after the position from which it follows, in the order
 * in which they were written; or it receives `reset`: changes may be missing, and it must read the map.
 * Does not guarantee: that a change is written. Redis may be away, and a process may die between its commit and the
 * write. Nor that two changes of one seat by two replicas within some milliseconds are written in the order of their
 * commits.
 * Source: https://redis.io/docs/latest/develop/data-types/streams/
 */
export interface SeatChangeLog {
  /** Returns at once and never throws. */
  publish(change: SeatChange): void
  /**
   * Follows an event's changes, from after the position `after`, or from about now if that is null.
   *
   * Resolves with the function that ends it, or with null if Redis does not answer. The listener must not throw.
   */
  follow(eventId: string, after: string | null, listener: SeatEventListener): Promise<(() => void) | null>
  close(): Promise<void>
}

export function createSeatChangeLog(options: SeatChangeLogOptions): SeatChangeLog {
  const { redis, registry, keyPrefix = 'seat-changes:' } = options
  const writer = createSeatChangeWriter({ redis, registry, keyPrefix })
  const reader = new SeatChangeReader({ redis, registry, keyPrefix })
  return {
    publish: writer.publish,
    follow: (eventId, after, listener) => reader.follow(eventId, after, listener),
    close: async () => {
      writer.close()
      await reader.close()
    },
  }
}
