import { pause } from '@seatbelt/locks'
import type { PinnedConnections } from './pinned-connections.ts'
import type { Strategy } from './strategies.ts'

/** So many contenders who take one of so many resources again and again, and work so long under the lock. */
export interface Cell {
  readonly contenders: number
  readonly resources: number
  readonly workMs: number
}

export interface Slice {
  readonly elapsedMs: number
  /** From asking to having given back, of each bracket that was done. */
  readonly latenciesMs: readonly number[]
  readonly retries: number
  readonly wastedWorks: number
  readonly gaveUp: number
  readonly pinned: { readonly mean: number; readonly peak: number }
}

/**
 * Runs a strategy for `sliceMs`. Brackets that have begun by then are waited for and counted: a long wait that is cut off would look
 * like a short one. Throws what a strategy throws.
 */
export async function runSlice(
  { bracket, name, countTries }: Strategy,
  cell: Cell,
  { sliceMs, pinned }: { readonly sliceMs: number; readonly pinned: PinnedConnections },
): Promise<Slice> {
  const triesBefore = (await countTries?.()) ?? null
  const latenciesMs: number[] = []
  const sums = { retries: 0, wastedWorks: 0, gaveUp: 0, brackets: 0 }
  const work = cell.workMs === 0 ? async () => {} : () => pause(cell.workMs)

  async function contend(contender: number): Promise<void> {
    while (performance.now() < untilMs) {
      const askedAtMs = performance.now()
      const { isDone, retries, wastedWorks } = await bracket(`${name}:${pickResource(cell, contender)}`, work)
      if (isDone) latenciesMs.push(performance.now() - askedAtMs)
      else sums.gaveUp++
      sums.brackets++
      sums.retries += retries ?? 0
      sums.wastedWorks += wastedWorks
    }
  }

  pinned.reset()
  const startedAtMs = performance.now()
  const untilMs = startedAtMs + sliceMs
  await Promise.all(Array.from({ length: cell.contenders }, (_, contender) => contend(contender)))
  const elapsedMs = performance.now() - startedAtMs
  const pinnedThen = pinned.read()
  const tries = (await countTries?.()) ?? null
  return {
    elapsedMs,
    latenciesMs,
    // Nodes that were not asked any more because the vote was over make this a fraction.
    retries: tries === null || triesBefore === null ? sums.retries : Math.max(0, tries - triesBefore - sums.brackets),
    wastedWorks: sums.wastedWorks,
    gaveUp: sums.gaveUp,
    pinned: pinnedThen,
  }
}

/** With a resource for each, nobody meets anybody; with one, everybody does; otherwise it is chance. */
function pickResource({ contenders, resources }: Cell, contender: number): number {
  if (resources === 1) return 0
  return resources === contenders ? contender : Math.floor(Math.random() * resources)
}
