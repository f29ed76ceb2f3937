import type { Unanswered } from './ask-patiently.ts'
import { readCharges } from './read-charges.ts'
import { readOurPayments } from './read-our-payments.ts'
import { readOurRefunds } from './read-our-refunds.ts'
import { readRefunds } from './read-refunds.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { actOnNext } from './repair-next.ts'
import {
  beginRun,
  commitPage,
  finishRun,
  letGo,
  type Run,
  type RunRequest,
  type Stage,
  type StagePage,
} from './runs.ts'

export type Reconciled =
  | { readonly kind: 'finished'; readonly runId: string }
  /** It stands where it was; the next call goes on from there. */
  | { readonly kind: 'interrupted'; readonly runId: string; readonly reason: string }
  | { readonly kind: 'busy'; readonly by: string }
  | { readonly kind: 'empty-window' }

/**
 * Layer 7: compares the gateway's lists with our books, both ways, and puts right what a program may, if it was told to.
 *
 * Guarantees: each page is judged once and none is left out, however often the run is stopped and gone on with. What is
 * younger than the last owner's last chance is not judged, nor what somebody is at work on. With `report` nothing is changed;
 * with `act` each repair is made once, by what is true when it is made, and nothing is done before all was read.
 * Does not guarantee: anything early, nor that a difference which only a person can judge goes away.
 * Fails with: database faults; the run can then be gone on with after its lease. Values for all else.
 * Source: docs/reconciliation.md; the decisions are in `packages/domain/src/reconciliation.ts`.
 */
export async function reconcile(deps: ReconcileDeps, request: RunRequest, signal?: AbortSignal): Promise<Reconciled> {
  const begun = await beginRun(deps, request)
  if (begun.kind !== 'begun') return begun
  let { run } = begun
  for (;;) {
    if (signal?.aborted) return interrupt(deps, run, 'it was told to stop')
    const step = await goOn(deps, run)
    if (step.kind === 'finished') return { kind: 'finished', runId: run.id }
    if (step.kind === 'unanswered') return interrupt(deps, run, step.reason)
    if (step.kind === 'lost') return { kind: 'interrupted', runId: run.id, reason: 'another process goes on with it' }
    run = step.run
  }
}

type Step =
  | { readonly kind: 'went-on'; readonly run: Run }
  | { readonly kind: 'finished' }
  | { readonly kind: 'lost' }
  | Unanswered

async function goOn(deps: ReconcileDeps, run: Run): Promise<Step> {
  if (run.stage === 'act' || run.stage === 'done') return actOrFinish(deps, run)
  const page = await readers[run.stage](deps, run)
  if (page.kind === 'unanswered') return page
  const committed = await commitPage(deps, run, page)
  return committed ? { kind: 'went-on', run: committed } : { kind: 'lost' }
}

async function actOrFinish(deps: ReconcileDeps, run: Run): Promise<Step> {
  if (run.mode === 'act') {
    const acted = await actOnNext(deps, run)
    if (acted.kind === 'acted') return { kind: 'went-on', run }
    if (acted.kind !== 'nothing-left') return acted
  }
  return (await finishRun(deps, run)) ? { kind: 'finished' } : { kind: 'lost' }
}

type Reader = (deps: ReconcileDeps, run: Run) => Promise<StagePage | Unanswered>

const readers: Readonly<Record<Exclude<Stage, 'act' | 'done'>, Reader>> = {
  charges: readCharges,
  refunds: readRefunds,
  'our-payments': readOurPayments,
  'our-refunds': readOurRefunds,
}

async function interrupt(deps: ReconcileDeps, run: Run, reason: string): Promise<Reconciled> {
  await letGo(deps, run)
  return { kind: 'interrupted', runId: run.id, reason }
}
