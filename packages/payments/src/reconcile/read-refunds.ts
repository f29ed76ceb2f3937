import type { Refund as RefundRow, Tx } from '@seatbelt/database'
import { decideRefund, lateFailureDays } from '@seatbelt/domain'
import type { GatewayRefund } from '@seatbelt/safety'
import { askPatiently, type Unanswered, unanswered } from './ask-patiently.ts'
import { readId } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Finding, Run, StagePage } from './runs.ts'

/** From where refunds are read: one may fail long after it was made, and is listed under the time when it was made. */
export function refundsFrom({ windowFrom }: Run): Date {
  return new Date(windowFrom.getTime() - lateFailureDays * 24 * 3_600_000)
}

/** A page of the gateway's refunds, each held against our books. */
export async function readRefunds(deps: ReconcileDeps, run: Run): Promise<StagePage | Unanswered> {
  const { gateway, payments, pageSize } = deps
  const page = { createdFrom: refundsFrom(run), createdTo: run.windowTo, after: run.cursor, limit: pageSize }
  const answer = await askPatiently(() => gateway.listRefunds(page))
  if (answer.kind !== 'list') return unanswered(answer)

  const { items, hasMore } = answer
  const books = await payments.database.statement((client) => findBooks(client, items))
  const judged = items.map((refund) => judge(refund, books))
  return {
    kind: 'page',
    findings: judged.flatMap(({ finding }) => (finding ? [finding] : [])),
    sighted: items.map(({ id }) => id),
    counted: items.length,
    leftOpen: judged.filter(({ isLeft }) => isLeft).length,
    next: hasMore ? (items.at(-1)?.id ?? null) : null,
  }
}

interface Owner {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
}

interface Books {
  readonly byGatewayId: ReadonlyMap<string, RefundRow>
  readonly byId: ReadonlyMap<string, RefundRow>
  readonly owners: ReadonlyMap<string, Owner>
}

async function findBooks(client: Tx, items: readonly GatewayRefund[]): Promise<Books> {
  const gatewayIds = items.map(({ id }) => id)
  const ids = items.flatMap(({ metadata }) => readId(metadata, 'refundId') ?? [])
  const intentIds = items.flatMap(({ intentId }) => intentId ?? [])
  const rows = await client.refund.findMany({
    where: { OR: [{ gatewayRefundId: { in: gatewayIds } }, { id: { in: ids } }] },
  })
  const owners = await client.payment.findMany({
    where: { gatewayIntentId: { in: intentIds } },
    select: { id: true, accountId: true, orderId: true, gatewayIntentId: true },
  })
  return {
    byGatewayId: new Map(rows.map((row) => [row.gatewayRefundId ?? '', row])),
    byId: new Map(rows.map((row) => [row.id, row])),
    owners: new Map(owners.map((owner) => [owner.gatewayIntentId ?? '', owner])),
  }
}

function judge(refund: GatewayRefund, books: Books): { finding: Finding | null; isLeft: boolean } {
  const refundId = readId(refund.metadata, 'refundId')
  const row = books.byGatewayId.get(refund.id) ?? books.byId.get(refundId ?? '') ?? null
  const owner = books.owners.get(refund.intentId ?? '') ?? null
  const verdict = decideRefund(refund, { row, isNamed: refundId !== null, isOfOurCharge: owner !== null })
  if (verdict.kind !== 'differs') return { finding: null, isLeft: verdict.kind === 'left' }
  const finding = {
    difference: verdict.difference,
    accountId: row?.accountId ?? owner?.accountId ?? null,
    orderId: row?.orderId ?? owner?.orderId ?? null,
    paymentId: row?.paymentId ?? owner?.id ?? null,
    refundId: row?.id ?? null,
    gatewayIntentId: refund.intentId,
    gatewayChargeId: refund.chargeId,
    gatewayRefundId: refund.id,
    currency: refund.currency,
  }
  return { finding, isLeft: false }
}
