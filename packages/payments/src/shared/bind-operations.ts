type Bound<Operations> = {
  readonly [Name in keyof Operations]: Operations[Name] extends (deps: never, ...args: infer Args) => infer Result
    ? (...args: Args) => Result
    : never
}

/** The operations, each with its first argument given. */
export function bindOperations<
  Deps,
  Operations extends Readonly<Record<string, (deps: Deps, ...args: never[]) => unknown>>,
>(deps: Deps, operations: Operations): Bound<Operations> {
  const bound = Object.entries(operations).map(([name, operation]) => [name, operation.bind(null, deps)])
  return Object.fromEntries(bound) as Bound<Operations>
}
