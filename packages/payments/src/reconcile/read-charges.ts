import { decideCharge } from '@seatbelt/domain'
import { askPatiently, type Unanswered, unanswered } from './ask-patiently.ts'
import { type BooksOfCharge, type FoundCharge, findBooksOfCharges } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Finding, Run, StagePage } from './runs.ts'

/** A page of the gateway's charges, each held against our books. */
export async function readCharges(deps: ReconcileDeps, run: Run): Promise<StagePage | Unanswered> {
  const { gateway, payments, judgedAfterMs, pageSize } = deps
  const page = { createdFrom: run.windowFrom, createdTo: run.windowTo, after: run.cursor, limit: pageSize }
  const answer = await askPatiently(() => gateway.listCharges(page))
  if (answer.kind !== 'list') return unanswered(answer)

  const { items, hasMore } = answer
  const books = await payments.database.statement((client) => findBooksOfCharges(client, items, judgedAfterMs))
  const judged = items.map((charge) => judge(charge, books.get(charge.id)))
  return {
    kind: 'page',
    findings: judged.flatMap(({ finding }) => (finding ? [finding] : [])),
    // A try that failed took nothing: it is no evidence for a payment that succeeded.
    sighted: items.filter(({ status }) => status === 'succeeded').map(({ id }) => id),
    counted: items.length,
    leftOpen: judged.filter(({ isLeft }) => isLeft).length,
    next: hasMore ? (items.at(-1)?.id ?? null) : null,
  }
}

function judge(charge: FoundCharge, books: BooksOfCharge | undefined): { finding: Finding | null; isLeft: boolean } {
  if (!books) throw new Error(`the books were not asked about ${charge.id}`)
  const verdict = decideCharge(charge, books)
  if (verdict.kind !== 'differs') return { finding: null, isLeft: verdict.kind === 'left' }
  const { accountId, orderId, paymentId } = books
  const named = { accountId, orderId, paymentId, refundId: null, gatewayRefundId: null }
  const { id: gatewayChargeId, intentId: gatewayIntentId, currency } = charge
  const finding = { ...named, gatewayChargeId, gatewayIntentId, currency, difference: verdict.difference }
  return { finding, isLeft: false }
}
