/**
 * Runs all contenders from one starting line.
 *
 * Each is called before any of them can continue after its first wait, so before any answer reaches any of them. The
 * order from there on is up to the servers. To force one interleaving, use a latch or the proxy.
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

/** The results of a race in which no contender may fail. Throws the first failure. */
export function valuesOf<T>(results: ReadonlyArray<PromiseSettledResult<T>>): T[] {
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
