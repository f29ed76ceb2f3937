import type { Refund as RefundRow, Tx } from '@seatbelt/database'
import { type Difference, decideRefund, missing } from '@seatbelt/domain'
import { askPatiently, isAbsent, type Unanswered, unanswered } from './ask-patiently.ts'
import { askedOneByOne } from './read-our-payments.ts'
import { refundsFrom } from './read-refunds.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Finding, Run, StagePage } from './runs.ts'

/** A page of our refunds that succeeded and that the gateway's list did not show, each asked for by its id. */
export async function readOurRefunds(deps: ReconcileDeps, run: Run): Promise<StagePage | Unanswered> {
  const { database } = deps.payments
  const counted = run.cursor === null ? await database.statement((client) => count(client, run)) : 0
  const unseen = await database.statement((client) => findUnseen(client, run))
  const findings: Finding[] = []
  for (const refund of unseen) {
    const difference = await compare(deps, refund)
    if (difference && 'reason' in difference) return difference
    if (difference) findings.push({ ...named(refund), difference })
  }
  const next = unseen.length === askedOneByOne ? (unseen.at(-1)?.id ?? null) : null
  return { kind: 'page', findings, counted, next }
}

type OurRefund = RefundRow & { readonly gatewayRefundId: string }

async function compare({ gateway }: ReconcileDeps, row: OurRefund): Promise<Difference | null | Unanswered> {
  const answer = await askPatiently(() => gateway.retrieveRefund(row.gatewayRefundId))
  if (isAbsent(answer)) return missing('refund-missing', row.amountMinor)
  if (answer.kind !== 'refund') return unanswered(answer)
  const verdict = decideRefund(answer.refund, { row, isNamed: true, isOfOurCharge: true })
  return verdict.kind === 'differs' ? verdict.difference : null
}

function named({ id: refundId, accountId, orderId, paymentId, currency, ...atGateway }: OurRefund) {
  const { gatewayIntentId, gatewayChargeId, gatewayRefundId } = atGateway
  return { accountId, orderId, paymentId, refundId, gatewayIntentId, gatewayChargeId, gatewayRefundId, currency }
}

async function count(client: Tx, run: Run): Promise<number> {
  return client.refund.count({ where: { state: 'succeeded', settledAt: { gte: refundsFrom(run), lte: run.windowTo } } })
}

async function findUnseen(client: Tx, run: Run): Promise<OurRefund[]> {
  const ids = await client.$queryRaw<{ id: string }[]>`
    SELECT id FROM refunds
     WHERE state = 'succeeded' AND settled_at BETWEEN ${refundsFrom(run)} AND ${run.windowTo}
       AND (${run.cursor}::uuid IS NULL OR id > ${run.cursor}::uuid)
       AND NOT EXISTS (SELECT 1 FROM reconciliation_sightings
                        WHERE run_id = ${run.id}::uuid AND gateway_id = refunds.gateway_refund_id)
     ORDER BY id LIMIT ${askedOneByOne}`
  const rows = await client.refund.findMany({ where: { id: { in: ids.map(({ id }) => id) } }, orderBy: { id: 'asc' } })
  // The database holds that a refund which succeeded names the gateway's.
  return rows as OurRefund[]
}
