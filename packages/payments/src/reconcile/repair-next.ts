import { CommitUnknown, DatabaseUnavailable, type ReconciliationFinding as FindingRow } from '@seatbelt/database'
import { isContention } from '@seatbelt/safety'
import type { Unanswered } from './ask-patiently.ts'
import type { Outcome } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { repairCharge } from './repair-charge.ts'
import { reverseLostRefund } from './reverse-lost-refund.ts'
import { leaseEnd, type Run, stillOurs } from './runs.ts'

export type Acted =
  | { readonly kind: 'acted' }
  | { readonly kind: 'nothing-left' }
  | { readonly kind: 'lost' }
  | Unanswered

/**
 * Puts right the next difference of this run that a program may put right, and writes down what came of it.
 *
 * One that was stopped in between is taken up again, and finds what it had done: by the repair's row, or by the books.
 */
export async function actOnNext(deps: ReconcileDeps, run: Run): Promise<Acted> {
  const { database } = deps.payments
  const finding = await database.statement((client) =>
    client.reconciliationFinding.findFirst({
      where: { runId: run.id, outcome: null, action: { not: 'person' } },
      orderBy: { id: 'asc' },
    }),
  )
  if (!finding) return { kind: 'nothing-left' }
  const outcome = await putRight(deps, finding)
  if (outcome.kind === 'unanswered') return outcome
  return (await note(deps, run, finding, outcome)) ? { kind: 'acted' } : { kind: 'lost' }
}

async function putRight(deps: ReconcileDeps, finding: FindingRow): Promise<Outcome | Unanswered> {
  try {
    if (finding.action === 'reverse-refund') return await reverseLostRefund(deps, finding)
    return await repairCharge(deps, finding)
  } catch (fault) {
    if (fault instanceof DatabaseUnavailable || fault instanceof CommitUnknown || isContention(fault)) throw fault
    // Books that do not fit together: the next run would fail at the same one, and never come to those behind it.
    deps.payments.layers.reportFault(fault, `reconciliation finding ${finding.id}`)
    return { kind: 'person', detail: 'it could not be put right: see the log' }
  }
}

function note(deps: ReconcileDeps, run: Run, finding: FindingRow, { kind, detail }: Outcome): Promise<boolean> {
  return deps.payments.database.transaction(async (tx) => {
    const count =
      await tx.$executeRaw`UPDATE reconciliation_runs SET leased_until = ${leaseEnd} WHERE ${stillOurs(run)}`
    if (count === 0) return false
    await tx.reconciliationFinding.update({
      where: { id: finding.id },
      data: { outcome: kind, detail: detail ?? finding.detail },
    })
    return true
  })
}
