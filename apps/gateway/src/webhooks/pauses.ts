export interface Pause {
  readonly over: Promise<void>
  /** Ends it before its time. */
  end(): void
}

export interface Pauses {
  start(delayMs: number): Pause
  /** No pause will ever be over again: whoever waits in one waits for good, and is forgotten with it. */
  stop(): void
}

/** Timers that do not keep a closing process alive, and can be taken back all at once. */
export function createPauses(): Pauses {
  const timers = new Set<NodeJS.Timeout>()

  return {
    start(delayMs) {
      const { promise: over, resolve } = withResolvers()
      const timer = setTimeout(end, delayMs)
      timer.unref()
      timers.add(timer)
      function end(): void {
        clearTimeout(timer)
        timers.delete(timer)
        resolve()
      }
      return { over, end }
    },
    stop() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    },
  }
}

/** Node 20 has no `Promise.withResolvers`. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
