import { capturedCharges, type Evidence, groupBy, type TransferRow } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * Four books of the same money: for each order, what the gateway captured, what our transfers say, what its succeeded
 * payments say, and what the order itself says must be one amount. They are added up order by order, each by itself.
 */
export const transfersAgree: Invariant = {
  id: 'I6',
  claim: "our transfers agree with the gateway's ledger and with the orders",
  check: (evidence) => {
    const { orders, payments } = evidence.books
    const paid = orders.filter(({ state }) => state === 'paid')
    const succeeded = payments.filter(({ state }) => state === 'succeeded')
    const books: readonly Book[] = [
      { name: 'the order says', byOrder: groupBy(paid, ({ id }) => id) },
      { name: 'its payments', byOrder: groupBy(succeeded, ({ orderId }) => orderId) },
      { name: 'our transfers', byOrder: transfersByOrder(evidence) },
      { name: 'the gateway', byOrder: groupBy(capturedCharges(evidence), ({ orderId }) => orderId ?? '') },
    ]
    const orderIds = new Set(books.flatMap(({ byOrder }) => [...byOrder.keys()]))
    const violations = [...orderIds].flatMap((orderId): Violation[] => {
      const what = disagreement(books, orderId)
      return what === null ? [] : [{ subject: orderId, what }]
    })
    return { checked: orderIds.size, violations }
  },
}

interface Amount {
  readonly amountMinor: number
  readonly currency: string
}

interface Book {
  readonly name: string
  readonly byOrder: ReadonlyMap<string, readonly Amount[]>
}

/** A transfer of a payment that does not exist is filed under the payment's id, where no order and no charge answers for it. */
function transfersByOrder({ books }: Evidence): Map<string, TransferRow[]> {
  const orderIds = new Map(books.payments.map((payment) => [payment.id, payment.orderId]))
  return groupBy(books.transfers, (transfer) => orderIds.get(transfer.paymentId) ?? transfer.paymentId)
}

function disagreement(books: readonly Book[], orderId: string): string | null {
  const sums = books.map(({ name, byOrder }) => ({ name, sum: total(byOrder.get(orderId) ?? []) }))
  if (new Set(sums.map(({ sum }) => sum)).size === 1) return null
  return sums.map(({ name, sum }) => `${name} ${sum}`).join(', ')
}

/** Each currency for itself, in a fixed order, so that equal totals are equal texts. */
function total(amounts: readonly Amount[]): string {
  const sums = [...groupBy(amounts, (amount) => amount.currency)].map(
    ([currency, of]) => `${of.reduce((sum, { amountMinor }) => sum + amountMinor, 0)} ${currency}`,
  )
  return sums.length === 0 ? 'nothing' : sums.sort().join(' + ')
}
