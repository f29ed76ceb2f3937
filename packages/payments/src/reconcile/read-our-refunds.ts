import { type Refund as RefundRow, sql } from '@seatbelt/database'
import { decideRefund, missing } from '@seatbelt/domain'
import { askPatiently, GatewayUnreadable, isAbsent } from './ask-patiently.ts'
import { readOurRows } from './read-our-rows.ts'
import { refundsFrom } from './read-refunds.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Run, StagePage } from './runs.ts'

/** A page of our refunds that succeeded and that the gateway's list did not show. */
export function readOurRefunds(deps: ReconcileDeps, run: Run): Promise<StagePage> {
  return readOurRows<RefundRow>(deps, run, {
    table: sql`refunds`,
    gatewayId: sql`gateway_refund_id`,
    from: refundsFrom(run),
    compare: async (row) => {
      // The money was returned outside of the gateway, which has nothing to show.
      const { gatewayRefundId } = row
      if (gatewayRefundId === null) return null
      const answer = await askPatiently(() => deps.gateway.retrieveRefund(gatewayRefundId))
      if (isAbsent(answer)) return missing('refund-missing', row.amountMinor)
      if (answer.kind !== 'refund') throw new GatewayUnreadable(answer)
      const verdict = decideRefund(answer.refund, { row, isNamed: true, isOfOurCharge: true })
      return verdict.kind === 'differs' ? verdict.difference : null
    },
    subject: ({ id: refundId, paymentId, gatewayRefundId }) => ({ refundId, paymentId, gatewayRefundId }),
  })
}
