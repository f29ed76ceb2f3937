import { decideDispute, disputeDays } from '@seatbelt/domain'
import type { GatewayDispute } from '@seatbelt/safety'
import { asSeen, toKnown } from '../dispute/enter-dispute.ts'
import { type Judged, readGatewayList } from './read-gateway-list.ts'
import { type ReconcileDeps, readSecond } from './reconcile-deps.ts'
import type { Run, StagePage } from './runs.ts'

/** A page of the gateway's disputes, each held against our books. */
export async function readDisputes({ gateway, payments, pageSize }: ReconcileDeps, run: Run): Promise<StagePage> {
  const { windowFrom, windowTo: createdTo, cursor: after } = run
  const createdFrom = new Date(windowFrom.getTime() - disputeDays * 24 * 3_600_000)
  // Before the list is read, so that an event which is made meanwhile is newer.
  const seenAt = await readSecond(payments)
  return readGatewayList({
    list: () => gateway.listDisputes({ createdFrom, createdTo, after, limit: pageSize }),
    judge: async (disputes) => {
      const books = await findBooks(payments, disputes)
      return disputes.map((dispute) => judge(dispute, seenAt, books))
    },
    isSighted: () => false,
  })
}

type Books = Awaited<ReturnType<typeof findBooks>>

async function findBooks({ database }: ReconcileDeps['payments'], disputes: readonly GatewayDispute[]) {
  const intentIds = disputes.flatMap(({ intentId }) => intentId ?? [])
  const owners = await database.statement(({ payment }) =>
    payment.findMany({ where: { gatewayIntentId: { in: intentIds } }, include: { disputes: true } }),
  )
  return new Map(owners.map((owner) => [owner.gatewayIntentId, owner]))
}

function judge(dispute: GatewayDispute, seenAt: Date, books: Books): Judged {
  const owner = books.get(dispute.intentId)
  const row = owner?.disputes.find(({ gatewayDisputeId }) => gatewayDisputeId === dispute.id)
  const known = row ? toKnown(row) : null
  return {
    verdict: decideDispute(asSeen(dispute, seenAt), { paymentState: owner?.state ?? null, known }),
    accountId: owner?.accountId ?? null,
    orderId: owner?.orderId ?? null,
    paymentId: owner?.id ?? null,
    refundId: null,
    gatewayIntentId: dispute.intentId,
    gatewayChargeId: null,
    gatewayRefundId: null,
    gatewayDisputeId: dispute.id,
    currency: dispute.currency,
  }
}
