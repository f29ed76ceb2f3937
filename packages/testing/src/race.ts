/**
 * Runs all contenders from one starting line: every one of them is called before any of them can go on from its first wait, so
 * before any answer reaches any of them. What happens then is a matter of the servers they ask; to force one interleaving,
 * use a latch or the proxy.
 *
 * Never rejects; the results are in the order of the contenders.
 */
export function race<T>(contenders: ReadonlyArray<() => Promise<T>>): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(contenders.map(async (contender) => contender()))
}

/** The same for N copies of one contender. */
export function raceCopies<T>(
  copies: number,
  contender: (copy: number) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  return race(Array.from({ length: copies }, (_, copy) => () => contender(copy)))
}

/** What the contenders that did not fail returned; the first failure is thrown, for races in which none may fail. */
export function valuesOf<T>(results: ReadonlyArray<PromiseSettledResult<T>>): T[] {
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
