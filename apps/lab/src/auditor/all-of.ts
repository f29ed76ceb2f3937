type Settled<Of> = { readonly [Name in keyof Of]: Awaited<Of[Name]> }

/** Resolves when all have, with their results by their names. */
export async function allOf<Of extends Readonly<Record<string, Promise<unknown>>>>(promises: Of): Promise<Settled<Of>> {
  const settled = await Promise.all(Object.entries(promises).map(async ([name, one]) => [name, await one] as const))
  return Object.fromEntries(settled) as Settled<Of>
}
