import { type Evidence, groupBy, type Mail, outboxIdOf, type ReceiptRow } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * Counted on the wire, where the customer stands: whatever succeeded of an order with an address has its mail. A second copy is
 * let pass only where it can be said what caused it: for each copy one thing that was done to the system while the message was
 * in flight, and a try of a relay that goes with it. It carries the id of the first, by which a mail client knows it.
 */
export const receiptsOnce: Invariant = {
  id: 'I7',
  claim:
    'every receipt arrived, and twice only what was in flight when a relay was killed or an answer of the mail server or to a COMMIT was lost',
  check: (evidence) => {
    const owed = owedReceipts(evidence)
    const { mails } = evidence
    // Without a sink to ask, nobody knows what arrived.
    if (mails === null && owed.length > 0)
      return { checked: 0, violations: [], blindBecause: 'nobody named the mail sink' }
    const arrived = mailsByReceipt(evidence)
    const owedTo = new Map(owed.map(({ receipt, recipient }) => [receipt?.id ?? '', recipient]))
    const known = new Set(evidence.books.receipts.map(({ id }) => id))
    const strays = (mails ?? []).filter((mail) => !known.has(outboxIdOf(mail) ?? ''))
    return {
      checked: owed.length + (mails ?? []).length,
      violations: [
        ...owed.flatMap((fact) => whatIsMissing(fact, arrived)),
        ...evidence.books.receipts.flatMap((receipt) =>
          whatIsTooMuch(receipt, owedTo, arrived.get(receipt.id) ?? [], evidence),
        ),
        ...strays.map((mail) => ({
          subject: mail.messageId ?? `mail ${mail.number}`,
          what: 'arrived, and no message of ours is behind it',
        })),
      ],
    }
  },
}

/** Something that a customer must have been told. */
export interface OwedReceipt {
  readonly subjectId: string
  readonly recipient: string
  /** The message that was written in the commit which made it true; undefined: none was. */
  readonly receipt: ReceiptRow | undefined
}

/**
 * A refund that the bank sent back had succeeded before, so that its customer has two mails. Of one that failed at once
 * there is a mail if the gateway had made it.
 */
export function owedReceipts({ books }: Pick<Evidence, 'books'>): OwedReceipt[] {
  const addresses = new Map(books.orders.map((order) => [order.id, order.receiptEmail]))
  const receipts = new Map(books.receipts.map((receipt) => [`${receipt.topic} ${receipt.subjectId}`, receipt]))
  const payments = books.payments.filter(({ state }) => state === 'succeeded')
  const refunds = books.refunds.filter(({ state, reversedAt }) => state === 'succeeded' || reversedAt !== null)
  const reversed = refunds.filter(({ reversedAt }) => reversedAt !== null)
  const failed = books.refunds.filter(
    ({ state, reversedAt, gatewayRefundId }) => state === 'failed' && reversedAt === null && gatewayRefundId !== null,
  )
  const facts = [
    ...payments.map(({ id, orderId }) => ({ id, orderId, topic: 'payment.succeeded' })),
    ...refunds.map(({ id, orderId }) => ({ id, orderId, topic: 'refund.succeeded' })),
    ...reversed.map(({ id, orderId }) => ({ id, orderId, topic: 'refund.reversed' })),
    ...failed.map(({ id, orderId }) => ({ id, orderId, topic: 'refund.failed' })),
  ]
  return facts.flatMap(({ id, orderId, topic }) => {
    const recipient = addresses.get(orderId) ?? null
    return recipient === null ? [] : [{ subjectId: id, recipient, receipt: receipts.get(`${topic} ${id}`) }]
  })
}

/** Copies on the wire, by the message that they are copies of. */
export function mailsByReceipt({ mails }: Pick<Evidence, 'mails'>): Map<string, Mail[]> {
  return groupBy(mails ?? [], outboxIdOf)
}

function whatIsMissing({ subjectId, receipt }: OwedReceipt, arrived: ReadonlyMap<string, Mail[]>): Violation[] {
  if (receipt === undefined) return [{ subject: subjectId, what: 'no receipt was ever written' }]
  if (arrived.has(receipt.id)) return []
  const after = `after ${receipt.attempts} tries${receipt.isGivenUp ? ', and was given up' : ''}`
  return [{ subject: subjectId, what: `its receipt did not arrive ${after}` }]
}

function whatIsTooMuch(receipt: ReceiptRow, owed: OwedTo, copies: readonly Mail[], evidence: Evidence): Violation[] {
  const { subjectId: subject, topic, attempts } = receipt
  const recipient = owed.get(receipt.id)
  if (recipient === undefined) return [{ subject, what: `has a receipt for ${topic}, which did not happen` }]
  const elsewhere = copies.filter(({ recipients }) => recipients.join() !== recipient)
  const told = elsewhere.map(({ recipients }) => recipients.join())
  const unaccounted = unaccountedCopies(receipt, copies, evidence)
  return [
    ...(elsewhere.length > 0 ? [{ subject, what: `its receipt went to ${told.join(', ')}, not to ${recipient}` }] : []),
    ...(unaccounted > 0
      ? [
          {
            subject,
            what: `its receipt arrived ${copies.length} times after ${attempts} tries, ${unaccounted} of them without a cause`,
          },
        ]
      : []),
  ]
}

/** The recipient by the receipt's id. */
type OwedTo = ReadonlyMap<string, string>

/**
 * How many copies nothing accounts for. A cause is an answer that the sink kept to itself when an earlier copy came, or a declared
 * disturbance that met this message; and whatever the cause, a copy needs a try of its own.
 */
export function unaccountedCopies(
  { id, attempts }: ReceiptRow,
  copies: readonly Mail[],
  { disturbances }: Pick<Evidence, 'disturbances'>,
): number {
  if (copies.length < 2) return 0
  const inOrder = [...copies].sort((one, other) => one.number - other.number)
  const unanswered = inOrder.slice(0, -1).filter(({ fault }) => fault !== null).length
  const declared = disturbances.filter(({ messageIds }) => messageIds === null || messageIds.includes(id)).length
  return copies.length - 1 - Math.min(unanswered + declared, attempts - 1, copies.length - 1)
}
