import { sql } from '@seatbelt/database'
import { decideRefund, lateFailureDays } from '@seatbelt/domain'
import { type GatewayRefund, ourIdIn } from '@seatbelt/safety'
import { releaseOf } from '../refund/enter-refunds-from-elsewhere.ts'
import type { Queryable } from '../shared/payment-deps.ts'
import { type Judged, readGatewayList } from './read-gateway-list.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Run, StagePage } from './runs.ts'

/** From where refunds are read: one may fail long after it was made, and is listed under the time when it was made. */
export function refundsFrom({ windowFrom }: Run): Date {
  return new Date(windowFrom.getTime() - lateFailureDays * 24 * 3_600_000)
}

/** A page of the gateway's refunds, each held against our books. */
export function readRefunds({ gateway, payments, pageSize }: ReconcileDeps, run: Run): Promise<StagePage> {
  const page = { createdFrom: refundsFrom(run), createdTo: run.windowTo, after: run.cursor, limit: pageSize }
  return readGatewayList({
    list: () => gateway.listRefunds(page),
    judge: async (refunds) => {
      const books = await findBooks(payments, refunds)
      return refunds.map((refund) => judge(refund, books))
    },
    isSighted: () => true,
  })
}

type Books = Awaited<ReturnType<typeof findBooks>>

async function findBooks({ database }: Queryable, items: readonly GatewayRefund[]) {
  const gatewayIds = items.map(({ id }) => id)
  const names = items.flatMap(({ metadata }) => ourIdIn(metadata, 'refundId') ?? [])
  const intentIds = items.flatMap(({ intentId }) => intentId ?? [])
  const chargeIds = items.flatMap(({ chargeId }) => chargeId ?? [])
  const owners = await database.statement(({ payment }) =>
    payment.findMany({ where: { gatewayIntentId: { in: intentIds } } }),
  )
  // No index has the names. The refunds of these payments and the repairs of these charges have one.
  const isNamed = { gatewayKey: { in: names } }
  const ofThese = [
    { ...isNamed, paymentId: { in: owners.map(({ id }) => id) } },
    { ...isNamed, origin: 'reconciliation', gatewayChargeId: { in: chargeIds } },
  ]
  const refunds = await database.statement(({ refund }) =>
    refund.findMany({ where: { OR: [{ gatewayRefundId: { in: gatewayIds } }, { id: { in: names } }, ...ofThese] } }),
  )
  const inPart = owners.filter(({ capturedMinor }) => capturedMinor !== null).map(({ id }) => id)
  const released =
    inPart.length === 0
      ? []
      : await database.query<{ id: string | null }>(sql`
          SELECT ${releaseOf} AS id FROM payments WHERE id = ANY (${inPart}::uuid[])`)
  return {
    releases: new Set(released.map(({ id }) => id)),
    byGatewayId: new Map(refunds.map((row) => [row.gatewayRefundId, row])),
    byName: new Map(refunds.map((row) => [row.gatewayKey ?? row.id, row])),
    owners: new Map(owners.map((owner) => [owner.gatewayIntentId, owner])),
  }
}

function judge(refund: GatewayRefund, { byGatewayId, byName, owners, releases }: Books): Judged {
  const refundId = ourIdIn(refund.metadata, 'refundId')
  const row = byGatewayId.get(refund.id) ?? byName.get(refundId ?? '') ?? null
  const owner = refund.intentId === null ? undefined : owners.get(refund.intentId)
  // Stripe also shows an authorization that was released as a refund. Its payment has no charge that took money.
  // The release of a partial capture is noted in the history of its payment.
  const isOfOurCharge = owner !== undefined && owner.gatewayChargeId === refund.chargeId && !releases.has(refund.id)
  return {
    verdict: decideRefund(refund, { row, isNamed: refundId !== null, isOfOurCharge }),
    accountId: row?.accountId ?? owner?.accountId ?? null,
    orderId: row?.orderId ?? owner?.orderId ?? null,
    paymentId: row?.paymentId ?? owner?.id ?? null,
    refundId: row?.id ?? null,
    gatewayIntentId: refund.intentId,
    gatewayChargeId: refund.chargeId,
    gatewayRefundId: refund.id,
    currency: refund.currency,
  }
}
