import { roundingMs, type Sleeper, type WakeSlot, wakeAt, wakeNoMore } from './wake-times.ts'

export type Budgeted<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** No answer in time. The request is not called back: it may still have its effect. */
  | { readonly kind: 'late' }
  | { readonly kind: 'aborted' }

/**
 * Waits for an answer up to `budgetMs` (or a sixteenth less) or until the signal fires, whichever is first. Never rejects,
 * also not later, when the abandoned request fails. Leaves no listener behind, and keeps no process alive.
 */
export function withinBudget<T>(request: Promise<T>, budgetMs: number, signal?: AbortSignal): Promise<Budgeted<T>> {
  return new Promise((resolve) => {
    const waiting = new Waiting(resolve, budgetMs, signal)
    request.then(
      (value) => waiting.end({ kind: 'answered', value }),
      (error: unknown) => waiting.end({ kind: 'failed', error }),
    )
  })
}

/** Requests that were sent at about the same time are given up at the same time: so they share a timer. */
const roundedShare = 1 / 16

/** A class, because this is in the path of each command: its methods are there once and not once a command. */
class Waiting<T> implements Sleeper {
  slot: WakeSlot | undefined
  next: Sleeper | undefined
  previous: Sleeper | undefined
  readonly #resolve: (outcome: Budgeted<T>) => void
  readonly #signal: AbortSignal | undefined

  constructor(resolve: (outcome: Budgeted<T>) => void, budgetMs: number, signal: AbortSignal | undefined) {
    this.#resolve = resolve
    this.#signal = signal
    const rounding = roundingMs(budgetMs, roundedShare)
    wakeAt(this, Math.floor((performance.now() + budgetMs) / rounding) * rounding)
    signal?.addEventListener('abort', this)
  }

  end(outcome: Budgeted<T>): void {
    wakeNoMore(this)
    this.#signal?.removeEventListener('abort', this)
    this.#resolve(outcome)
  }

  /** Late is who has not answered when what has arrived was read: this process may have been busy itself. */
  wake(): void {
    setImmediate(() => this.end({ kind: 'late' }))
  }

  /** The signal's. */
  handleEvent(): void {
    this.end({ kind: 'aborted' })
  }
}
