import type { CancelledWithoutRefund } from '@seatbelt/booking'
import {
  type CommandResult,
  type Connections,
  cancelMissingPayment,
  countOrphans,
  dismissReceipt,
  enterRefundAsOperator,
  failMissingRefund,
  listDeadReceipts,
  listInReview,
  listOrphans,
  type Operator,
  type PaymentDeps,
  recordAction,
  recordRefundOutside,
  resolveOrphan,
  reviewAsOperator,
  sendReceiptsAgain,
} from '@seatbelt/payments'
import { describeCancellation } from './describe-cancellation.ts'
import { describeInReview } from './describe-in-review.ts'
import { describeDismissed, describeReceipts, describeSentAgain } from './describe-receipts.ts'
import { describeEnd, describeEntered, describeRefundOutside, describeReview } from './describe-review.ts'
import { describeOrphans, describeResolved } from './orphans.ts'
import type { ActCommand, ReviewCommand } from './read-arguments.ts'

interface Parts {
  readonly payments: PaymentDeps
  readonly gateway: Connections['gateway']
  readonly cancelWithoutRefund: (bookingId: string, operator: Operator) => Promise<CancelledWithoutRefund>
}

/** Carries an operator's command out. An action is recorded with the operator's name and reason. */
export async function runReview(parts: Parts, asked: ReviewCommand): Promise<CommandResult> {
  const { payments } = parts
  if (asked.kind === 'list') return { text: await listAll(payments), exitCode: 0 }
  if (asked.kind === 'list-receipts') return { text: describeReceipts(await listDeadReceipts(payments)), exitCode: 0 }
  if (asked.kind === 'list-orphans') {
    const { orderId } = asked
    const orphans = await listOrphans(payments, orderId)
    return { text: describeOrphans(orphans, await countOrphans(payments, orderId)), exitCode: 0 }
  }
  if (asked.kind === 'resolve-orphan') {
    const { decision } = asked
    const { operator } = decision
    const action = `review orphans --${decision.resolution}`
    return recordAction(payments, { operator, action, subjectId: decision.id }, async () =>
      describeResolved(decision.id, await resolveOrphan(parts, decision)),
    )
  }
  if (asked.kind === 'enter-refund') {
    const { operator, id, gatewayRefundId } = asked
    return recordAction(
      payments,
      { operator, action: `review --enter-refund ${gatewayRefundId}`, subjectId: id },
      async () => describeEntered(id, gatewayRefundId, await enterRefundAsOperator(parts, id, gatewayRefundId)),
    )
  }
  const { operator, id } = asked
  return recordAction(payments, { operator, action: nameOf(asked), subjectId: id }, () => act(parts, asked, id ?? ''))
}

async function listAll(payments: PaymentDeps): Promise<string> {
  const { inAll: receipts } = await listDeadReceipts(payments)
  const elsewhere = { orphans: await countOrphans(payments), receipts }
  return describeInReview(await listInReview(payments), new Date(), elsewhere)
}

function nameOf({ kind }: ActCommand): string {
  if (kind === 'look') return 'review'
  return kind === 'send-again' || kind === 'dismiss' ? `review receipts --${kind}` : `review --${kind}`
}

async function act(
  { payments, gateway, cancelWithoutRefund }: Parts,
  { kind, id: given, amountMinor, operator }: ActCommand,
  id: string,
): Promise<CommandResult> {
  const parts = { payments, gateway, command: `npm run review -- ${id} --${kind}` }
  switch (kind) {
    case 'look':
      return describeReview(id, await reviewAsOperator(payments, id))
    case 'fail':
      return describeEnd('refund', id, await failMissingRefund(parts, id))
    case 'cancel':
      return describeEnd('payment', id, await cancelMissingPayment(parts, id))
    case 'cancel-without-refund':
      return describeCancellation(id, await cancelWithoutRefund(id, operator))
    case 'refunded-outside':
      return describeRefundOutside(id, await recordRefundOutside(payments, { paymentId: id, amountMinor }, operator))
    case 'send-again':
      return describeSentAgain(given, await sendReceiptsAgain(payments, given))
    case 'dismiss':
      return describeDismissed(id, await dismissReceipt(payments, id))
    default:
      return kind satisfies never
  }
}
