import { randomUUID } from 'node:crypto'
import type { Database, Payment as PaymentRow } from '@seatbelt/database'
import type { Currency, DeclinedBy, Payment, Refusal } from '@seatbelt/domain'
import type { Renderings, Result } from '@seatbelt/payments'
import type { IntentGateway, RefundGateway } from '@seatbelt/safety'

export interface NaiveDeps {
  readonly database: Database
  readonly gateway: IntentGateway & Pick<RefundGateway, 'createRefund'>
  readonly renderings: Renderings
  /** Who books the money that came in: the request that asked for it, or the gateway's event (naive-events.ts). */
  readonly bookedBy: 'request' | 'event'
}

export async function bookCharge(
  { client }: Database,
  { id, accountId, amountMinor, currency }: Pick<PaymentRow, 'id' | 'accountId' | 'amountMinor' | 'currency'>,
): Promise<void> {
  const accounts = { debitAccount: 'gateway', creditAccount: `merchant:${accountId}` }
  await client.transfer.create({
    data: { id: randomUUID(), accountId, paymentId: id, kind: 'charge', ...accounts, amountMinor, currency },
  })
}

/** The currency came in through the API's schema, which knows no other ones. */
export function toNaivePayment(row: PaymentRow): Payment {
  const capturedMinor = row.state === 'succeeded' ? row.amountMinor : 0
  const declinedBy = row.declinedBy as DeclinedBy | null
  return { ...row, capturedMinor, currency: row.currency as Currency, declinedBy, disputeState: null }
}

export function refused(refusal: Refusal): Extract<Result, { kind: 'refused' }> {
  return { kind: 'refused', refusal }
}

export function answered(answer: ReturnType<Renderings['orderCreated']>): Extract<Result, { kind: 'answered' }> {
  return { kind: 'answered', answer, replayed: false }
}
