import { patienceMs } from './eventually.ts'

export interface Latch {
  readonly isOpen: boolean
  /** Lets everybody through who waits now or will wait. Opening twice is the same as once. */
  open(): void
  /**
   * Resolves when the latch is open.
   *
   * Rejects after `boundMs`, with the latch's name: a test whose interleaving never happens must say so, not hang.
   */
  wait(): Promise<void>
}

/** A gate that a test opens when what it waits for has happened. It replaces every sleep. */
export function createLatch(name: string, { boundMs = patienceMs }: { boundMs?: number } = {}): Latch {
  const waiting = new Set<() => void>()
  let isOpen = false

  return {
    get isOpen() {
      return isOpen
    },
    open() {
      isOpen = true
      for (const letThrough of waiting) letThrough()
    },
    wait() {
      if (isOpen) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const letThrough = () => {
          clearTimeout(timer)
          waiting.delete(letThrough)
          resolve()
        }
        const timer = setTimeout(() => {
          waiting.delete(letThrough)
          reject(new Error(`latch '${name}' was not opened within ${boundMs} ms`))
        }, boundMs)
        waiting.add(letThrough)
      })
    },
  }
}
