import { inProgressRetryAfterSeconds } from '@seatbelt/domain'
import { orderLockName } from '@seatbelt/safety'
import type { Result } from './operations.ts'
import type { PaymentDeps } from './payment-deps.ts'
import { recoverPayment } from './recover-payment.ts'
import { toPayment } from './rows.ts'

/**
 * A request whose key started this payment before, and has no answer yet. It never claims again.
 *
 * Its owner is alive: refused, to be asked again. Its owner gave up: `unsettled`, recovery is at it. Its owner died:
 * this request recovers it, as the worker would. It has been settled meanwhile: the recorded answer.
 */
export async function resumePayment(deps: PaymentDeps, paymentId: string): Promise<Result> {
  const found = await deps.database.statement(async (client) => {
    const rows = await client.$queryRaw<{ owner: 'alive' | 'dead' | 'gave-up' }[]>`
      SELECT CASE WHEN leased_until IS NULL THEN 'gave-up' WHEN leased_until < now() THEN 'dead' ELSE 'alive' END AS owner
        FROM payments WHERE id = ${paymentId}::uuid`
    const payment = await client.payment.findUniqueOrThrow({ where: { id: paymentId } })
    const answer = await deps.layers.idempotencyKey.findAnswer(client, { accountId: payment.accountId, paymentId })
    return { owner: rows[0]?.owner, payment: toPayment(payment), answer }
  })
  if (found.answer) return { kind: 'answered', answer: found.answer, replayed: true }
  if (found.owner === 'alive')
    return { kind: 'refused', refusal: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds } }
  if (found.owner === 'gave-up') return { kind: 'unsettled', payment: found.payment }
  try {
    const recovered = await recoverPayment(deps, paymentId)
    return recovered?.result ?? { kind: 'unsettled', payment: found.payment }
  } catch (fault) {
    // The intent is there, whatever failed now: the caller must not read this as "nothing happened".
    deps.layers.reportFault(fault, orderLockName(found.payment))
    return { kind: 'unsettled', payment: found.payment }
  }
}
