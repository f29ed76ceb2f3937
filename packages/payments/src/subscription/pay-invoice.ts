import { sql } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import { guardEffect } from '@seatbelt/safety'
import { askGateway } from '../payment/owned-payment.ts'
import { resumePayment } from '../payment/resume-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { leasedPayments, wasClaimed } from '../shared/leased-work.ts'
import type { Result } from '../shared/operations.ts'
import { orderLock } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { claimTry, type DueInvoice } from './charge-invoice.ts'

/**
 * Charges an open invoice now, once per key, by the payment method of its subscription: also where a run would wait, or
 * tries no more. A person decided, so the limit of one charge a day does not apply.
 *
 * Guarantees: as `payOrder`; a run and a request charge an invoice once between them. The invoice of a subscription
 * that is past due makes it active again when it is paid.
 */
export async function payInvoice(deps: PaymentDeps, call: Call, invoiceId: string): Promise<Result> {
  // An invoice never changes its order or subscription, so it can be read before the order's lock is taken.
  const [invoice] = await deps.database.query<DueInvoice>(sql`
    SELECT id, account_id, subscription_id, order_id FROM invoices
     WHERE account_id = ${call.accountId}::uuid AND id = ${invoiceId}::uuid`)
  if (!invoice) return { kind: 'refused', refusal: { code: 'invoice-not-found', invoiceId } }
  return guardEffect(deps.layers, call, {
    lockOn: orderLock(invoice),
    begins: 'pay',
    claim: (tx) => claimTry(deps, tx, null, invoice),
    effect: (owned) => askGateway(deps, owned),
    settle: (tx, owned, found) => settlePayment(deps, tx, owned, found, call),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedPayments, attempt),
    unsettled: ({ payment }) => payment,
    resume: (target) => resumePayment(deps, target),
  })
}
