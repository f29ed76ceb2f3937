import { decideCharge } from '@seatbelt/domain'
import { type BooksOfCharge, type FoundCharge, findBooksOfCharges } from './books-of-charges.ts'
import { type Judged, readGatewayList } from './read-gateway-list.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Run, StagePage } from './runs.ts'

/** A page of the gateway's charges, each held against our books. */
export function readCharges(deps: ReconcileDeps, { windowFrom, windowTo, cursor }: Run): Promise<StagePage> {
  const { gateway, payments, judgedAfterMs, pageSize } = deps
  return readGatewayList({
    list: () => gateway.listCharges({ createdFrom: windowFrom, createdTo: windowTo, after: cursor, limit: pageSize }),
    judge: async (charges) => {
      const books = await findBooksOfCharges(payments.database.query, charges, judgedAfterMs)
      return charges.map((charge, at) => judge(charge, books[at]))
    },
    // A failed charge took nothing: it is no evidence for a payment that succeeded.
    isSighted: ({ status }) => status === 'succeeded',
  })
}

function judge(charge: FoundCharge, books: BooksOfCharge | undefined): Judged {
  if (!books) throw new Error(`the books were not asked about ${charge.id}`)
  const { accountId, orderId, paymentId } = books
  return {
    verdict: decideCharge(charge, books),
    accountId,
    orderId,
    paymentId,
    refundId: null,
    gatewayIntentId: charge.intentId,
    gatewayChargeId: charge.id,
    gatewayRefundId: null,
    currency: charge.currency,
  }
}
