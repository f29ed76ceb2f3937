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
  /** Of all snapshots together. The oldest ones make room. */
  readonly maxSize: number
  readonly sizeOf: (snapshot: Snapshot) => number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

interface Loaded<Snapshot> {
  /** From before the query: it may not show what became true since. */
  readonly loadedAtMs: number
  readonly snapshot: Promise<Snapshot | null>
  /** Null while it is loading. */
  size: number | null
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
  const latest = new Map<string, Loaded<Snapshot>>()
  const waiting = new Map<string, Promise<Snapshot | null>>()
  let totalSize = 0

  function start(name: string): Promise<Snapshot | null> {
    forget(name)
    const loaded: Loaded<Snapshot> = { loadedAtMs: now(), snapshot: load(name), size: null }
    latest.set(name, loaded)
    void loaded.snapshot.catch(() => null).then((snapshot) => keep(name, loaded, snapshot))
    return loaded.snapshot
  }

  function keep(name: string, loaded: Loaded<Snapshot>, snapshot: Snapshot | null): void {
    if (snapshot === null) {
      forget(name)
      return
    }
    loaded.size = sizeOf(snapshot)
    totalSize += loaded.size
    for (const [other, { size }] of latest) {
      if (totalSize <= maxSize) return
      if (size !== null) forget(other)
    }
  }

  function forget(name: string): void {
    totalSize -= latest.get(name)?.size ?? 0
    latest.delete(name)
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
      const known = latest.get(name)
      if (known && now() - known.loadedAtMs <= maxAgeMs) return known.snapshot
      const isLoading = known?.size === null
      return waiting.get(name) ?? (isLoading ? startAfter(known.snapshot, name) : start(name))
    },
  }
}
