import {
  capturedCharges,
  disputesAtGateway,
  type Evidence,
  groupBy,
  type LedgerEntry,
  type OrderRow,
  refundsAtGateway,
  type TransferRow,
} from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * Books of the same money: for each order, what the gateway took and gave back, what our transfers say, what its payments and
 * refunds say, and what the order itself says must be the same. They are added up order by order, each by itself. The transfers
 * must also run the right way: between what the gateway owes us and what we owe this merchant.
 */
export const transfersAgree: Invariant = {
  id: 'I6',
  claim: "our transfers agree with the gateway's ledger and with the orders",
  check: (evidence) => {
    const transfers = fileTransfers(evidence)
    const books = booksOf(evidence, transfers)
    const orders = new Map(evidence.books.orders.map((order) => [order.id, order]))
    const byOperators = new Set(
      evidence.books.refunds.filter(({ origin }) => origin === 'operator').map(({ id }) => id),
    )
    const misdirected = groupBy(
      transfers.filter((transfer) => !runsRight(transfer, orders.get(transfer.orderId), byOperators)),
      ({ orderId }) => orderId,
    )
    const orderIds = new Set(
      books.flatMap(({ taken, given, disputed }) =>
        [taken, given, disputed].flatMap((book) => [...(book?.keys() ?? [])]),
      ),
    )
    const violations = [...orderIds].flatMap((orderId): Violation[] => {
      const faults = [
        disagreement(books, orders.get(orderId), orderId),
        ...(misdirected.get(orderId) ?? []).map(course),
      ]
      const what = faults.filter((fault) => fault !== null).join('; ')
      return what === '' ? [] : [{ subject: orderId, what }]
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
  /** What was taken, by order. Null: this book does not know it. */
  readonly taken: ReadonlyMap<string, readonly Amount[]> | null
  readonly given: ReadonlyMap<string, readonly Amount[]>
  /** The amounts that disputes withdrew and did not reinstate. Null: this book does not know them. */
  readonly disputed: ReadonlyMap<string, readonly Amount[]> | null
}

interface FiledTransfer extends TransferRow {
  readonly orderId: string
}

/** A transfer of a payment that does not exist is filed under the payment's id, where no order and no charge answers for it. */
function fileTransfers({ books }: Evidence): FiledTransfer[] {
  const orderIds = new Map(books.payments.map((payment) => [payment.id, payment.orderId]))
  return books.transfers.map((row) => ({ ...row, orderId: orderIds.get(row.paymentId) ?? row.paymentId }))
}

function booksOf(evidence: Evidence, transfers: readonly FiledTransfer[]): Book[] {
  const { orders, payments, refunds } = evidence.books
  const succeeded = payments.filter(({ state }) => state === 'succeeded')
  const taken = succeeded.map((payment) => ({ ...payment, amountMinor: payment.capturedMinor }))
  const partsByOrder = new Map(capturedInPart(evidence).map((charge) => [charge.orderId, charge.amountMinor]))
  const byOrder = <T extends Amount & { readonly orderId: string | null }>(rows: readonly T[]) =>
    groupBy(rows, ({ orderId }) => orderId ?? '')
  const paid = orders
    .filter(({ state }) => state in givenBackWhen)
    .map((order) => ({ ...order, amountMinor: partsByOrder.get(order.id) ?? order.amountMinor }))
  return [
    { name: 'the order', taken: groupBy(paid, ({ id }) => id), given: groupBy([], () => null), disputed: null },
    {
      name: 'its payments',
      taken: byOrder(taken),
      given: byOrder(succeeded.map((payment) => ({ ...payment, amountMinor: payment.refundedMinor }))),
      disputed: byOrder(payments.map((payment) => ({ ...payment, amountMinor: payment.disputedMinor }))),
    },
    {
      name: 'its refunds',
      taken: null,
      // A repair gives back what was never booked as taken.
      given: byOrder(refunds.filter(({ origin, state }) => origin !== 'reconciliation' && state === 'succeeded')),
      disputed: null,
    },
    {
      name: 'our transfers',
      taken: byOrder(transfers.filter(({ kind }) => kind === 'charge')),
      given: byOrder(transfers.filter(({ kind }) => kind === 'refund' || kind === 'refund_reversal').map(signed)),
      disputed: byOrder(transfers.filter(({ kind }) => kind.startsWith('dispute_')).map(signed)),
    },
    {
      name: 'the gateway',
      taken: byOrder(capturedCharges(evidence)),
      // A refund outside of the gateway has no other witness than our books.
      given: byOrder([...standingRefunds(evidence), ...refunds.filter(({ origin }) => origin === 'operator')]),
      disputed: byOrder(disputesAtGateway(evidence)),
    },
  ]
}

/** Less than the order costs, because a person captured so much at the gateway's console. Nothing else may do that. */
function capturedInPart(evidence: Evidence): LedgerEntry[] {
  return capturedCharges(evidence).filter(({ isByConsole }) => isByConsole)
}

/** Negative where it takes back what a refund gave or a dispute withdrew. */
function signed(transfer: FiledTransfer): FiledTransfer {
  const isTakenBack = transfer.kind === 'refund_reversal' || transfer.kind === 'dispute_reinstatement'
  return isTakenBack ? { ...transfer, amountMinor: -transfer.amountMinor } : transfer
}

/** What the gateway gave back and the bank did not send back. A refund belongs to the order whose charge it is of. */
function standingRefunds(evidence: Evidence): LedgerEntry[] {
  const orderIds = new Map(capturedCharges(evidence).map((charge) => [charge.chargeId, charge.orderId]))
  const standing = refundsAtGateway(evidence).filter(({ refundStatus }) => refundStatus === 'succeeded')
  return standing.map((refund) => ({ ...refund, orderId: orderIds.get(refund.chargeId) ?? refund.orderId }))
}

/** How much of what was taken has been given back when a paid order says so. */
const givenBackWhen: Readonly<Record<string, (taken: string, given: string) => boolean>> = {
  paid: (_, given) => given === nothing,
  partially_refunded: (taken, given) => given !== nothing && given !== taken,
  refunded: (taken, given) => given === taken,
}

function disagreement(books: readonly Book[], order: OrderRow | undefined, orderId: string): string | null {
  const taken = books.flatMap((book) => (book.taken ? [{ name: book.name, sum: total(book.taken.get(orderId)) }] : []))
  // The order has no figure of its own for this; its state is compared with the others'.
  const given = books.slice(1).map((book) => ({ name: book.name, sum: total(book.given.get(orderId)) }))
  const disputed = books.flatMap((book) =>
    book.disputed ? [{ name: book.name, sum: total(book.disputed.get(orderId)) }] : [],
  )
  const [takenSum = nothing, givenSum = nothing] = [taken[0]?.sum, given[0]?.sum]
  const agree = [taken, given, disputed].every((sums) => new Set(sums.map(({ sum }) => sum)).size === 1)
  const fits = givenBackWhen[order?.state ?? ''] ?? (() => takenSum === nothing && givenSum === nothing)
  if (agree && fits(takenSum, givenSum)) return null
  const says = (sums: readonly { name: string; sum: string }[]) => sums.map(({ name, sum }) => `${name} ${sum}`)
  return `the order is ${order?.state ?? 'unknown'}; taken: ${says(taken).join(', ')}; given back: ${says(given).join(', ')}; disputed: ${says(disputed).join(', ')}`
}

const nothing = 'nothing'

/** Each currency for itself, in a fixed order, so that equal totals are equal texts. */
function total(amounts: readonly Amount[] = []): string {
  const sums = [...groupBy(amounts, (amount) => amount.currency)].map(([currency, of]) => ({
    currency,
    sum: of.reduce((sum, { amountMinor }) => sum + amountMinor, 0),
  }))
  const texts = sums.filter(({ sum }) => sum !== 0).map(({ sum, currency }) => `${sum} ${currency}`)
  return texts.length === 0 ? nothing : texts.sort().join(' + ')
}

/**
 * A charge, and what takes back a refund or a dispute, make the gateway owe us what we owe the merchant. An operator
 * who has returned money outside of the gateway stands in its place.
 */
function runsRight(
  { kind, debitAccount, creditAccount, refundId }: FiledTransfer,
  order: OrderRow | undefined,
  byOperators: ReadonlySet<string>,
): boolean {
  const merchant = `merchant:${order?.accountId}`
  const payer = refundId !== null && byOperators.has(refundId) ? 'operator' : 'gateway'
  const isAgainstMerchant = kind === 'refund' || kind === 'dispute_withdrawal'
  const [debit, credit] = isAgainstMerchant ? [merchant, payer] : [payer, merchant]
  return debitAccount === debit && creditAccount === credit
}

function course({ kind, debitAccount, creditAccount }: FiledTransfer): string {
  return `a ${kind} from ${debitAccount} to ${creditAccount}`
}
