import { runBench } from './run-bench.ts'
import type { SystemName } from './systems/systems.ts'

/** What scripts/bootstrap.mjs hands over, once everything is set up. It has read and checked the words. */
export interface Command {
  readonly options: { readonly quick?: boolean; readonly only?: SystemName }
  readonly root: string
  /** Aborted by Ctrl-C, SIGTERM or SIGHUP; its reason is the signal's name. */
  readonly signal: AbortSignal
}

/** Runs the benchmark in the bootstrap's process. Resolves to its exit code when all that it started has ended. */
export function main({ options, root, signal }: Command): Promise<number> {
  const { quick = false, only } = options
  return runBench({ root, signal, quick, only: only ?? null, say: (text) => console.log(text) })
}
