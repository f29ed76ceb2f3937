import { type Payment as PaymentRow, sql } from '@seatbelt/database'
import { decideCharge, missing } from '@seatbelt/domain'
import { readOurRows } from './read-our-rows.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Run, StagePage } from './runs.ts'
import { askForTaken } from './seen-charge.ts'

/** A constraint of the table holds that a payment which succeeded names them. */
type OurPayment = PaymentRow & { readonly gatewayIntentId: string; readonly gatewayChargeId: string }

/** A page of our payments that succeeded and that the gateway's list did not show. */
export function readOurPayments(deps: ReconcileDeps, run: Run): Promise<StagePage> {
  return readOurRows<OurPayment>(deps, run, {
    table: sql`payments`,
    gatewayId: sql`gateway_charge_id`,
    from: run.windowFrom,
    compare: async (payment) => {
      const elsewhere = await whyElsewhere(deps, payment)
      if (elsewhere !== null) return { ...missing('missing', payment.amountMinor), detail: elsewhere }
      const charge = await askForTaken(deps, payment.gatewayIntentId)
      const amountMinor = payment.capturedMinor ?? payment.amountMinor
      if (charge?.status !== 'succeeded') return missing('missing', amountMinor)
      const verdict = decideCharge(charge, { owner: { ...payment, amountMinor }, order: null })
      return verdict.kind === 'differs' ? verdict.difference : null
    },
    subject: ({ id: paymentId }) => ({ paymentId, refundId: null, gatewayRefundId: null }),
  })
}

/** With a key of another account a 404 would prove nothing. A person takes the right key. */
async function whyElsewhere({ payments }: ReconcileDeps, { gatewayAccount }: OurPayment): Promise<string | null> {
  const opened = gatewayAccount === null ? null : await payments.gatewayAccount.learn()
  if (opened === null || opened === gatewayAccount) return null
  return `it was not looked for: it was taken in ${gatewayAccount}, and the key opens ${opened}`
}
