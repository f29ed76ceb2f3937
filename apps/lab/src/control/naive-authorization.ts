import { randomUUID } from 'node:crypto'
import type { Payment as PaymentRow } from '@seatbelt/database'
import type { Call, PaymentOutcome } from '@seatbelt/domain'
import type { Result } from '@seatbelt/payments'

import { answered, bookCharge, type NaiveDeps, refused, toNaivePayment } from './naive-parts.ts'

/** Takes what is on hold, as a tutorial does it: look whether it is on hold, take it, write it down. */
export async function captureNaively(deps: NaiveDeps, { accountId }: Call, paymentId: string): Promise<Result> {
  const { database, gateway } = deps
  const row = await findHeld(deps, accountId, paymentId)
  if ('kind' in row) return row
  const taken = await gateway.captureIntent(row.gatewayIntentId ?? '', randomUUID(), accountId)
  if (taken.kind !== 'intent' || taken.intent.chargeId === null)
    throw new Error(`the hold was not taken: ${taken.kind}`)
  const { chargeId: gatewayChargeId, receivedMinor: capturedMinor } = taken.intent
  const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
  await database.client.payment.update({
    where: { id: paymentId },
    data: { state: 'succeeded', gatewayChargeId, goal: 'capture', settledAt: new Date() },
  })
  await bookCharge(database, toNaivePayment(row))
  await database.client.order.update({
    where: { id: row.orderId },
    data: { state: 'paid', version: { increment: 1 } },
  })
  return ended(deps, row, outcome, 'capture')
}

/** Gives back what is on hold, in the same way. */
export async function voidNaively(deps: NaiveDeps, { accountId }: Call, paymentId: string): Promise<Result> {
  const row = await findHeld(deps, accountId, paymentId)
  if ('kind' in row) return row
  const ending = await deps.gateway.cancelIntent(row.gatewayIntentId ?? '', randomUUID(), accountId)
  if (ending.kind !== 'intent') throw new Error(`the hold was not given back: ${ending.kind}`)
  await deps.database.client.payment.update({
    where: { id: paymentId },
    data: { state: 'voided', goal: 'void', settledAt: new Date() },
  })
  return ended(deps, row, { state: 'voided', declineCode: null }, 'void')
}

async function findHeld(
  { database }: NaiveDeps,
  accountId: string,
  paymentId: string,
): Promise<PaymentRow | ReturnType<typeof refused>> {
  const row = await database.client.payment.findFirst({ where: { id: paymentId, accountId } })
  if (row === null) return refused({ code: 'payment-not-found', paymentId })
  return row.state === 'authorized' ? row : refused({ code: 'payment-not-authorized', paymentId, state: row.state })
}

function ended({ renderings }: NaiveDeps, row: PaymentRow, outcome: PaymentOutcome, step: 'capture' | 'void'): Result {
  return answered(renderings.paymentSettled({ ...toNaivePayment(row), settledAt: new Date() }, outcome, step))
}
