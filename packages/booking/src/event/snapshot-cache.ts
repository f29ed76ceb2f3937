import { LRUCache } from 'lru-cache'

export interface SnapshotCache<Snapshot> {
  /**
   * The snapshot of this name, at most `maxAgeMs` old when it was requested; null: there is none. Fails as `load` does.
   */
  get(name: string): Promise<Snapshot | null>
}

export interface SnapshotCacheOptions<Snapshot> {
  /** Null: there is nothing of this name, which is not remembered. */
  readonly load: (name: string) => Promise<Snapshot | null>
  readonly maxAgeMs: number
  /** Of all snapshots together. Those that were not read for the longest time make room. */
  readonly maxSize: number
  readonly sizeOf: (snapshot: Snapshot) => number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** `loadedAtMs` is from before the query: it may not show what became true since. */
interface Loaded<Value> {
  readonly loadedAtMs: number
  readonly snapshot: Value
}

/**
 * Snapshots of what changes all the time, shared by all readers: however many read, one query of a name runs at a time.
 *
 * A reader for whom the running query began too early gets the result of the next one, which starts when the running
 * one has ended, and serves all readers that came too late for it.
 * Does not guarantee: that a snapshot is still true. It is for viewing; decisions read the rows.
 */
export function createSnapshotCache<Snapshot>(options: SnapshotCacheOptions<Snapshot>): SnapshotCache<Snapshot> {
  const { load, maxAgeMs, maxSize, sizeOf, now = () => performance.now() } = options
  const kept = new LRUCache<string, Loaded<Snapshot>>({ maxSize, sizeCalculation: ({ snapshot }) => sizeOf(snapshot) })
  const loading = new Map<string, Loaded<Promise<Snapshot | null>>>()
  const waiting = new Map<string, Promise<Snapshot | null>>()
  const isFresh = ({ loadedAtMs }: Loaded<unknown>) => now() - loadedAtMs <= maxAgeMs

  function start(name: string): Promise<Snapshot | null> {
    const loadedAtMs = now()
    const snapshot = load(name)
      .then((found) => {
        if (found === null) kept.delete(name)
        else kept.set(name, { loadedAtMs, snapshot: found })
        return found
      })
      .finally(() => loading.delete(name))
    loading.set(name, { loadedAtMs, snapshot })
    return snapshot
  }

  function startAfter(running: Promise<unknown>, name: string): Promise<Snapshot | null> {
    const startNext = () => {
      waiting.delete(name)
      return start(name)
    }
    const next = running.then(startNext, startNext)
    waiting.set(name, next)
    return next
  }

  return {
    async get(name) {
      const known = kept.get(name)
      if (known && isFresh(known)) return known.snapshot
      const running = loading.get(name)
      if (running && isFresh(running)) return running.snapshot
      return waiting.get(name) ?? (running ? startAfter(running.snapshot, name) : start(name))
    },
  }
}
