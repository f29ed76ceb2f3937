import { CommitUnknown, DatabaseUnavailable, type ReconciliationFinding as FindingRow, sql } from '@seatbelt/database'
import { isContention } from '@seatbelt/safety'
import { GatewayUnreadable } from './ask-patiently.ts'
import type { Outcome } from './decide-now.ts'
import { enterLostDispute } from './enter-lost-dispute.ts'
import { enterRefund } from './enter-refund.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { repairCharge } from './repair-charge.ts'
import { reverseLostRefund } from './reverse-lost-refund.ts'
import { leaseEnd, type Run, RunLost, stillOurs } from './runs.ts'

/**
 * Repairs the next difference of this run that a program may repair, and records the outcome.
 *
 * A repair that was stopped in between is taken up again, and finds what it had done: by its row, or by the books.
 */
export async function repairNext(deps: ReconcileDeps, run: Run): Promise<'acted' | 'nothing-left' | 'lost'> {
  const { database } = deps.payments
  const finding = await database.statement((client) =>
    client.reconciliationFinding.findFirst({
      where: { runId: run.id, outcome: null, action: { not: 'person' } },
      // By their names, what enters a dispute or a refund comes before what gives money back.
      orderBy: [{ action: 'asc' }, { id: 'asc' }],
    }),
  )
  if (!finding) return 'nothing-left'
  return (await note(deps, run, finding, await repair(deps, finding))) ? 'acted' : 'lost'
}

async function repair(deps: ReconcileDeps, finding: FindingRow): Promise<Outcome> {
  try {
    if (finding.action === 'reverse-refund') return await reverseLostRefund(deps, finding)
    if (finding.action === 'enter-refund') return await enterRefund(deps, finding)
    if (finding.action === 'enter-dispute') return await enterLostDispute(deps, finding)
    return await repairCharge(deps, finding)
  } catch (fault) {
    const endsRun = [DatabaseUnavailable, CommitUnknown, GatewayUnreadable, RunLost].some(
      (kind) => fault instanceof kind,
    )
    if (endsRun || isContention(fault)) throw fault
    // Books that do not fit together: the next run would fail at the same one, and never come to those behind it.
    deps.payments.layers.reportFault(fault, `reconciliation finding ${finding.id}`)
    return { kind: 'person', detail: 'it could not be put right: see the log' }
  }
}

function note(deps: ReconcileDeps, run: Run, finding: FindingRow, { kind, detail }: Outcome): Promise<boolean> {
  return deps.payments.database.transaction(async (tx) => {
    const owned = await tx.writeReturning(sql`
      UPDATE reconciliation_runs SET leased_until = ${leaseEnd(deps)} WHERE ${stillOurs(run)} RETURNING 1`)
    if (owned.length === 0) return false
    tx.write(sql`
      UPDATE reconciliation_findings SET outcome = ${kind}, detail = ${detail ?? finding.detail}
       WHERE id = ${finding.id}::uuid`)
    return true
  })
}
