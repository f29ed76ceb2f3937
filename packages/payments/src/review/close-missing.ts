import { Prisma } from '@seatbelt/database'
import {
  createMissingIntentLayer,
  createMissingRefundLayer,
  type Evidence,
  type Gateway,
  type RefundEvidence,
} from '@seatbelt/safety'
import { recoverPayment } from '../payment/recover-payment.ts'
import { recoverRefund } from '../refund/recover-refund.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

export type EndedByOperator =
  /** There is none with this id. */
  | { readonly kind: 'not-found' }
  /** Nothing was looked at. */
  | { readonly kind: 'not-looked'; readonly state: string; readonly why: string }
  /** It was looked at, and what was seen is no evidence. */
  | { readonly kind: 'left'; readonly state: string; readonly saw: string }
  /** By that it is missing, or by what was found there after all. */
  | { readonly kind: 'ended'; readonly state: string; readonly code: string | null }

interface Parts {
  readonly payments: PaymentDeps
  readonly gateway: Gateway
  /** Stands in the history. */
  readonly command: string
}

/**
 * Ends a refund that waits for a person as failed, so that what it reserved is free again, if the gateway does not have it.
 *
 * Guarantees: it is taken as recovery takes it, so that nobody else asks for it meanwhile; then the whole list of its payment's
 * refunds is read, and only one that is not in it fails, under the order's lock and if nothing was learned in between. It must
 * have been out of its key's time for an hour, so that no request for it can be on its way. Nothing is asked for.
 */
export async function failMissingRefund(
  { payments, gateway, command }: Parts,
  refundId: string,
): Promise<EndedByOperator> {
  const { database, layers } = payments
  const read = () => database.statement((client) => client.refund.findUnique({ where: { id: refundId } }))
  const row = await read()
  if (!row) return { kind: 'not-found' }
  const isOurs = await database.statement(
    (client) => client.$executeRaw`
    UPDATE refunds SET look_at = ${dueNow}
     WHERE id = ${refundId}::uuid AND ${waitsForAPerson} AND attempt_since < now() - make_interval(hours => ${quietHours}::int)`,
  )
  if (isOurs === 0) return { kind: 'not-looked', state: row.state, why: whyNotRefund(row) }

  const look = createMissingRefundLayer({ gateway, database, compareAndSet: layers.compareAndSet }, command)
  const seen: { evidence?: RefundEvidence } = {}
  const gatewayRefund: typeof look = async (...claimed) => (seen.evidence = await look(...claimed))
  await recoverRefund({ ...payments, layers: { ...layers, gatewayRefund } }, refundId)
  const now = (await read()) ?? row
  return conclude(now, { code: now.failureCode, evidence: seen.evidence })
}

/** The gateway remembers a key for a day, and recovery asks under none that is older than 23 hours. An hour later all is quiet. */
const quietHours = 24

function whyNotRefund({ state, attemptSince }: { readonly state: string; readonly attemptSince: Date }): string {
  if (state !== 'needs_review') return 'it does not wait for a person'
  return `somebody is looking at it, or it was asked for less than a day ago: its key is in use since ${attemptSince.toISOString()}`
}

/**
 * Ends a payment that waits for a person without money, if the gateway does not have its intent (404 to whoever retrieves it).
 * Guarantees as for a refund.
 */
export async function cancelMissingPayment(
  { payments, gateway, command }: Parts,
  paymentId: string,
): Promise<EndedByOperator> {
  const { database, layers, by } = payments
  const read = () => database.statement((client) => client.payment.findUnique({ where: { id: paymentId } }))
  const row = await read()
  if (!row) return { kind: 'not-found' }
  const isOurs = await database.statement(
    (client) => client.$executeRaw`
    UPDATE payments SET look_at = ${dueNow} WHERE id = ${paymentId}::uuid AND ${waitsForAPerson}`,
  )
  if (isOurs === 0) {
    const why = row.state === 'needs_review' ? 'somebody is looking at it' : 'it does not wait for a person'
    return { kind: 'not-looked', state: row.state, why }
  }
  const look = createMissingIntentLayer({ gateway, database, compareAndSet: layers.compareAndSet, by }, command)
  const seen: { evidence?: Evidence } = {}
  const gatewayIntent: typeof look = async (...claimed) => (seen.evidence = await look(...claimed))
  await recoverPayment({ ...payments, layers: { ...layers, gatewayIntent } }, paymentId)
  const now = (await read()) ?? row
  return conclude(now, { code: now.declineCode, evidence: seen.evidence })
}

/** Cut and not rounded, as the column would: half a millisecond ahead of the clock, whoever looks at once finds nothing due. */
export const dueNow = Prisma.sql`date_trunc('milliseconds', clock_timestamp())`

export const waitsForAPerson = Prisma.sql`state = 'needs_review' AND (leased_until IS NULL OR leased_until < now())`

interface Learned {
  readonly code: string | null
  readonly evidence: Evidence | RefundEvidence | undefined
}

function conclude(
  { state, settledAt }: { readonly state: string; readonly settledAt: Date | null },
  { code, evidence }: Learned,
): EndedByOperator {
  if (settledAt !== null) return { kind: 'ended', state, code }
  if (!evidence) return { kind: 'not-looked', state, why: 'somebody is looking at it, or the gateway is away' }
  return { kind: 'left', state, saw: evidence.kind === 'unknown' ? evidence.reason : evidence.outcome.state }
}
