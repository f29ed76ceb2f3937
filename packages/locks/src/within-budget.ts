export type Budgeted<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** No answer in time. The request is not called back: it may still have its effect. */
  | { readonly kind: 'late' }
  | { readonly kind: 'aborted' }

/**
 * Waits for an answer up to `budgetMs` or until the signal fires, whichever is first. Never rejects, also not later, when the
 * abandoned request fails. Leaves no timer and no listener behind.
 */
export function withinBudget<T>(request: Promise<T>, budgetMs: number, signal?: AbortSignal): Promise<Budgeted<T>> {
  return new Promise((resolve) => {
    const settle = (outcome: Budgeted<T>) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      resolve(outcome)
    }
    const abort = () => settle({ kind: 'aborted' })
    const timer = setTimeout(() => settle({ kind: 'late' }), budgetMs)
    signal?.addEventListener('abort', abort)
    request.then(
      (value) => settle({ kind: 'answered', value }),
      (error: unknown) => settle({ kind: 'failed', error }),
    )
  })
}
