import type { Tx } from '@seatbelt/database'
import { type Difference, decideCharge, missing } from '@seatbelt/domain'
import type { Unanswered } from './ask-patiently.ts'
import type { FoundCharge } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Finding, Run, StagePage } from './runs.ts'
import { askForTaken, isUnanswered } from './seen-charge.ts'

/** So many requests fit into the run's lease, should each take its whole deadline. */
export const askedOneByOne = 20

/**
 * The other way: a page of our payments that succeeded and that the gateway's list did not show. A list proves no absence (the
 * charge may be older than the window, or the list behind), so each is asked for by its id.
 */
export async function readOurPayments(deps: ReconcileDeps, run: Run): Promise<StagePage | Unanswered> {
  const { database } = deps.payments
  const counted = run.cursor === null ? await database.statement((client) => count(client, run)) : 0
  const unseen = await database.statement((client) => findUnseen(client, run))
  const findings: Finding[] = []
  for (const payment of unseen) {
    const charge = await askForTaken(deps, payment.gatewayIntentId)
    if (isUnanswered(charge)) return charge
    const difference = compare(charge, payment)
    if (difference) findings.push({ ...named(payment), difference })
  }
  const next = unseen.length === askedOneByOne ? (unseen.at(-1)?.id ?? null) : null
  return { kind: 'page', findings, counted, next }
}

function compare(charge: FoundCharge | null, payment: OurPayment): Difference | null {
  if (charge?.status !== 'succeeded') return missing('missing', payment.amountMinor)
  const verdict = decideCharge(charge, { owner: { ...payment, state: 'succeeded' }, order: null })
  return verdict.kind === 'differs' ? verdict.difference : null
}

interface OurPayment {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: string
  readonly gatewayIntentId: string
  readonly gatewayChargeId: string
}

function named({ id: paymentId, accountId, orderId, gatewayIntentId, gatewayChargeId, currency }: OurPayment) {
  const nothingGivenBack = { refundId: null, gatewayRefundId: null }
  return { accountId, orderId, paymentId, gatewayIntentId, gatewayChargeId, currency, ...nothingGivenBack }
}

async function count(client: Tx, { windowFrom, windowTo }: Run): Promise<number> {
  return client.payment.count({ where: { state: 'succeeded', settledAt: { gte: windowFrom, lte: windowTo } } })
}

/** Along the primary key: it has no index of its own, because a payment pays for each index and this is read once a day. */
function findUnseen(client: Tx, { id, cursor, windowFrom, windowTo }: Run): Promise<OurPayment[]> {
  return client.$queryRaw<OurPayment[]>`
    SELECT id, account_id AS "accountId", order_id AS "orderId", amount_minor AS "amountMinor", currency,
           gateway_intent_id AS "gatewayIntentId", gateway_charge_id AS "gatewayChargeId"
      FROM payments
     WHERE state = 'succeeded' AND settled_at BETWEEN ${windowFrom} AND ${windowTo}
       AND (${cursor}::uuid IS NULL OR id > ${cursor}::uuid)
       AND NOT EXISTS (SELECT 1 FROM reconciliation_sightings
                        WHERE run_id = ${id}::uuid AND gateway_id = payments.gateway_charge_id)
     ORDER BY id LIMIT ${askedOneByOne}`
}
