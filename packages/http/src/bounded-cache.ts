export interface BoundedCache<Value> {
  /** The value and whether it is still fresh; a stale one is kept until room is needed. */
  get(name: string): { readonly value: Value; readonly fresh: boolean } | null
  set(name: string, value: Value, freshUntilMs: number): void
  delete(name: string): void
}

/** At most `maxEntries` values, each fresh until its time; the one that was set longest ago makes room. */
export function createBoundedCache<Value>(options: { maxEntries: number; now: () => number }): BoundedCache<Value> {
  const entries = new Map<string, { value: Value; freshUntilMs: number }>()
  return {
    get(name) {
      const entry = entries.get(name)
      return entry === undefined ? null : { value: entry.value, fresh: options.now() < entry.freshUntilMs }
    },
    set(name, value, freshUntilMs) {
      entries.delete(name)
      entries.set(name, { value, freshUntilMs })
      const oldest = entries.size > options.maxEntries ? entries.keys().next().value : undefined
      if (oldest !== undefined) entries.delete(oldest)
    },
    delete(name) {
      entries.delete(name)
    },
  }
}
