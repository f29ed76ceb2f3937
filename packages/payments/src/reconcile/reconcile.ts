import { GatewayUnreadable } from './ask-patiently.ts'
import { keepLease } from './keep-lease.ts'
import { readCharges } from './read-charges.ts'
import { readDisputes } from './read-disputes.ts'
import { readOurPayments } from './read-our-payments.ts'
import { readOurRefunds } from './read-our-refunds.ts'
import { readRefunds } from './read-refunds.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { repairNext } from './repair-next.ts'
import {
  beginRun,
  commitPage,
  finishRun,
  letGo,
  type ReadingStage,
  type Run,
  RunLost,
  type RunRequest,
  type StagePage,
} from './runs.ts'

export type Reconciled =
  | { readonly kind: 'finished'; readonly runId: string }
  /** The next call continues the run where it stopped. */
  | { readonly kind: 'interrupted'; readonly runId: string; readonly reason: string }
  | { readonly kind: 'busy'; readonly by: string }
  | { readonly kind: 'empty-window' }

/**
 * Layer 7: compares the gateway's lists with our books in both directions, and in mode `act` repairs what a program
 * may.
 *
 * Guarantees: it judges each page once and leaves none out, however often the run is stopped and continued. It does not
 * judge what is younger than the last owner's last chance, nor what an owner works on. `report` changes nothing. `act`
 * makes each repair once, by what is true at that moment, and begins after everything was read.
 * Does not guarantee: that it finds a difference early, nor that a difference for a person goes away.
 * Fails with: database errors; the run can then be continued after its lease. All else is a value.
 * Source: docs/reconciliation.md; the decisions are in `packages/domain/src/reconciliation.ts`.
 */
export async function reconcile(deps: ReconcileDeps, request: RunRequest, signal?: AbortSignal): Promise<Reconciled> {
  const begun = await beginRun(deps, request)
  return begun.kind === 'begun' ? continueRun(keepLease(deps, begun.run), begun.run, signal) : begun
}

async function continueRun(deps: ReconcileDeps, begun: Run, signal?: AbortSignal): Promise<Reconciled> {
  const { id: runId } = begun
  const lost = { kind: 'interrupted', runId, reason: 'another process goes on with it' } as const
  let run = begun
  for (;;) {
    if (signal?.aborted) return interrupt(deps, run, 'it was told to stop')
    if (run.stage === 'done') return (await finishRun(deps, run)) ? { kind: 'finished', runId } : lost
    try {
      const next = await goOn(deps, run)
      if (next === null) return lost
      run = next
    } catch (fault) {
      if (fault instanceof RunLost) return lost
      if (fault instanceof GatewayUnreadable) return interrupt(deps, run, fault.message)
      throw fault
    }
  }
}

/** The run after one page or one repair. Null: another process has it. */
async function goOn(deps: ReconcileDeps, run: Run): Promise<Run | null> {
  if (run.stage !== 'act' && run.stage !== 'done') return commitPage(deps, run, await readers[run.stage](deps, run))
  const acted = run.mode === 'act' ? await repairNext(deps, run) : 'nothing-left'
  if (acted === 'lost') return null
  return acted === 'nothing-left' ? { ...run, stage: 'done' } : run
}

const readers: Readonly<Record<ReadingStage, (deps: ReconcileDeps, run: Run) => Promise<StagePage>>> = {
  charges: readCharges,
  refunds: readRefunds,
  disputes: readDisputes,
  'our-payments': readOurPayments,
  'our-refunds': readOurRefunds,
}

async function interrupt(deps: ReconcileDeps, run: Run, reason: string): Promise<Reconciled> {
  await letGo(deps, run)
  return { kind: 'interrupted', runId: run.id, reason }
}
